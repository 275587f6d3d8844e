-- What the end of a delivery leaves behind: places under caps, the record, the set of its state, the event.
-- The outcome of a job that was to be cancelled and whose worker said nothing.
local CANCELLED = '{"error":{"type":"Cancelled","message":"cancelled"}}'

local function cancelled_outcome(record)
  if record[REASON] == '' then return CANCELLED end
  return '{"error":{"type":"Cancelled","message":' .. cjson.encode(record[REASON]) .. '}}'
end

local freed, leaving = {}, {}
local over, unspent = {}, {}

local function release(record, id)
  over[#over + 1] = id
  leaving[#leaving + 1] = held_place(record, id)
  count_active(record, -1)
  freed[#freed + 1] = record
end

-- Write what `release` collected; what slept for a place wakes.
local function write_releases()
  for i = 1, #leaving, 1000 do
    redis.call('ZREM', held, unpack(leaving, i, math.min(i + 999, #leaving)))
  end
  if redis.call('ZCARD', asleep) > 0 then
    for _, record in ipairs(freed) do
      for _, name in ipairs(caps_of(record)) do wake_sleepers(name) end
    end
  end
  if redis.call('HLEN', permits) > 0 then
    for _, id in ipairs(over) do end_holding(id, unspent[id]) end
  end
end

local function take_out_of_rates(record, id)
  unspent[id] = true
  for name in string.gmatch(record[RATED], '[^\29]+') do
    redis.call('ZREM', starts, start_place(name, record[STARTED], id, record[DELIVERIES]))
  end
  record[RATED] = ''
end

local ENDED_WORDS = { ['completed'] = 'ended_completed', ['failed'] = 'ended_failed', ['cancelled'] = 'ended_cancelled' }
local ENDED_SETS = { ['completed'] = completed, ['failed'] = failed, ['cancelled'] = cancelled }

-- The record at its end; its place in the set of its state is for the caller to write.
local function finish_record(record, id, state)
  record[STATE] = state
  record[FINISHED] = now
  record[OWNER] = ''
  record[DUE] = 0
  count_job(record, state, 1)
  count_job(record, ENDED_WORDS[state], 1)
  if record[UNIQUE] ~= '' then release_unique(record, id, true) end
end

local function finish(record, id, state)
  finish_record(record, id, state)
  if state == 'failed' then
    redis.call('ZADD', dead, 0, timed_place(record[DEAD_LETTER], now, id))
  end
  redis.call('ZADD', ENDED_SETS[state], 0, settled_place(record, id))
end
