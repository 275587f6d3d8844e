-- PURPOSE: Count the jobs of lanes of a queue.
-- KEYS: waiting, running, tally, policies
-- ARGV: queue, lane...
-- RETURNS: for each lane its name, waiting, active, delayed, completed, failed, cancelled, resting, weight in thousandths, paused
-- EVENTS: none
-- OOM: reads
-- INCLUDE: places
local WORDS = { 'apart', 'delayed', 'completed', 'failed', 'cancelled', 'resting' }

local function waiting_in_lines(lane)
  local waits = 0
  for band = 0, 10 do
    local line = queue .. SEP .. string.format('%02d', band) .. SEP .. lane
    waits = waits + redis.call('ZLEXCOUNT', waiting, '[' .. line .. GATE_MARK, '(' .. line .. '\32')
  end
  return waits
end

local answer = {}
for i = first_lane, #ARGV do
  local lane, fields = ARGV[i], {}
  for n, word in ipairs(WORDS) do fields[n] = queue .. SEP .. lane .. SEP .. word end
  local counts = redis.call('HMGET', tally, unpack(fields))
  for n = 1, #WORDS do counts[n] = tonumber(counts[n] or 0) end
  local found = redis.call('HMGET', policies, 'a' .. SEP .. queue .. SEP .. lane, 'w' .. SEP .. lane)
  local adjusted = found[1] and cmsgpack.unpack(found[1]) or {}
  local weight = adjusted.weight or tonumber(found[2] or 1)
  answer[#answer + 1] = {
    lane, waiting_in_lines(lane) + counts[1], tonumber(redis.call('HGET', running, 'l' .. SEP .. queue .. SEP .. lane) or 0),
    counts[2], counts[3], counts[4], counts[5], counts[6], math.floor(weight * 1000 + 0.5), adjusted.paused and 1 or 0,
  }
end
return answer
