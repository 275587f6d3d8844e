-- Members of the ordered sets. All scores are 0, so byte order rules, and one range holds one queue, band or
-- line: no key's name depends on what a script pops. Times in ms have 13 digits, which lasts until 2286;
-- places are microseconds in 13 hexadecimal digits, until 2112.
local SEP = '\31'
local GATE_MARK = '\30'
local RESTING = 1099511627776 -- 2^40

local function first_of(scope) return '[' .. scope .. SEP end
local function last_of(scope) return '(' .. scope .. '\32' end

local function line_of(record)
  local gate = record[GATE]
  local line = gate == '' and record[LANE] or record[LANE] .. GATE_MARK .. gate
  return record[QUEUE] .. SEP .. string.format('%02d', record[BAND]) .. SEP .. line
end

local function waiting_place(record, id)
  return line_of(record) .. SEP .. string.format('%02d%013x', record[PRIORITY], record[PLACE]) .. SEP .. id
end

local function order_place(band, vt, line)
  return band .. SEP .. string.format('%014x', vt) .. SEP .. line
end

local function timed_place(scope, at, id)
  return scope .. SEP .. string.format('%013d', at) .. SEP .. id
end

local function settled_place(record, id)
  return timed_place(record[QUEUE], record[FINISHED], record[LANE] .. SEP .. record[MARKER] .. SEP .. id)
end

-- Of a suspect, or of a job that is held by itself, which a suspect may be too.
local function apart_place(record, id)
  local line = record[GATE] == '' and record[LANE] or record[LANE] .. GATE_MARK .. record[GATE]
  return record[QUEUE] .. SEP .. (record[DUE] > 0 and 'h' or 's') .. SEP .. string.format('%013x', record[PLACE]) .. SEP .. line .. SEP .. id
end

local function held_place(record, id)
  return record[OWNER] .. SEP .. record[QUEUE] .. SEP .. id
end

-- No name holds the separator, so the id is what follows the last one.
local function id_of(member)
  return string.match(member, '.*\31(.*)')
end
