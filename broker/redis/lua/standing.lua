-- PURPOSE: Say what stands between a job and its start.
-- KEYS: jobs, meta, outcomes, progress, waiting, apart, turns, running, policies, rests, timers
-- ARGV: id
-- RETURNS: nothing when there is no such job; else a packed map of what holds it back, then id, record, payload, outcome, progress
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, record, places, rules, watch, claims, reading
local record = load_record(id)
if not record then return {} end
local queue, lane, gate = record[QUEUE], record[LANE], record[GATE]
local rules, mine = rules_of(queue), rules_of_lane(queue, lane)
local told = {
  queue_paused = rules.paused and true or false,
  lane_paused = mine.paused and true or false,
  before_in_lane = 0,
  waiting_in_queue = redis.call('ZLEXCOUNT', waiting, first_of(queue), last_of(queue)) + redis.call('ZLEXCOUNT', apart, first_of(queue), last_of(queue)),
  suspect = record[STATE] == 'waiting' and record[LOST] > 0,
}

local function tell_rest(scope, name)
  local packed = redis.call('HGET', rests, scope)
  local rest = packed and cmsgpack.unpack(packed)
  if rest and rest[1] > now and not told.rests_until then
    told.rests_until, told.rest_scope, told.rest_reason = rest[1], name, rest[2]
  end
end

local kept = false -- a free place under one of its caps, for a suspect

local function tell_cap(key, name, cap)
  if not cap then return end
  told[key] = { tonumber(redis.call('HGET', running, name) or 0), cap }
  kept = kept or (cap == 1 and told[key][1] == 0 and kept_until(name) and true)
end

local unstarted = record[STATE] == 'waiting' or record[STATE] == 'delayed'
if unstarted then
  if record[STATE] == 'waiting' and record[DUE] > 0 then
    told.rests_until, told.rest_scope, told.rest_reason = record[DUE], 'job', record[REASON]
  end
  if gate ~= '' then tell_rest(queue .. SEP .. lane .. SEP .. gate, 'gate') end
  tell_rest(queue .. SEP .. lane, 'lane')
  tell_rest(queue, 'queue')
  local shared = rules.share and rules.share ~= ''
  tell_cap(shared and 'share_cap' or 'queue_cap', shared and 's' .. SEP .. rules.share or 'q' .. SEP .. queue, cap_in(rules, 'cap'))
  local lane_cap = mine.cap and cap_in(mine, 'cap')
  if not mine.cap then lane_cap = cap_in(rules, 'lane_cap') end
  tell_cap('lane_cap', 'l' .. SEP .. queue .. SEP .. lane, lane_cap)
  if gate ~= '' then
    tell_cap('gate_cap', 'g' .. SEP .. lane .. SEP .. gate, string.sub(gate, 1, 4) == 'one:' and 1 or cap_in(rules, 'gate_cap'))
  end
  if record[STATE] == 'waiting' and record[LOST] == 0 and record[DUE] == 0 then
    local line = line_of(record)
    local free_at = redis.call('ZSCORE', timers, 'L' .. line) or redis.call('ZSCORE', timers, 'L' .. string.match(line, '^[^\30]*')) or redis.call('ZSCORE', timers, 'Q' .. queue)
    if free_at and tonumber(free_at) > now and not told.rests_until then
      told.rests_until, told.rest_scope, told.rest_reason = tonumber(free_at), kept and 'place' or 'rate', ''
    end
    told.before_in_lane = redis.call('ZLEXCOUNT', waiting, first_of(line_of(record)), '(' .. waiting_place(record, id))
  end
end
local answer = { cmsgpack.pack(told) }
read_into(answer, id)
return answer
