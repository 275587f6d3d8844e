-- Members of the ordered sets. All scores are 0, so byte order rules, and one range holds one queue:
-- no key's name depends on what a script pops. Times have 13 digits, which lasts until the year 2286.
local SEP = '\31'

local function first_of(scope) return '[' .. scope .. SEP end
local function last_of(scope) return '(' .. scope .. '\32' end

-- The lane is left empty: one lane per queue for now, so order is priority, then first come.
local function waiting_place(record, id)
  return record[QUEUE] .. SEP .. SEP .. string.format('%02d%012x', record[PRIORITY], record[SEQUENCE]) .. SEP .. id
end

local function timed_place(scope, at, id)
  return scope .. SEP .. string.format('%013d', at) .. SEP .. id
end

local function active_place(record, id)
  return record[QUEUE] .. SEP .. record[LANE] .. SEP .. id
end

local function held_place(owner, id)
  return owner .. SEP .. id
end

-- No name holds the separator, so the id is what follows the last one.
local function id_of(member)
  return string.match(member, '.*\31(.*)')
end
