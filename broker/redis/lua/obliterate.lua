-- PURPOSE: Clear the counters, rests and adjustments of a queue that has no jobs any more, not even active ones.
-- KEYS: waiting, apart, delayed, completed, failed, cancelled, running, ready, clock, turns, rests, timers, asleep, totals, policies
-- ARGV: queue
-- RETURNS: 1, or 0 when it has jobs
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, places
for _, set in ipairs({ waiting, apart, delayed, completed, failed, cancelled }) do
  if redis.call('ZRANGEBYLEX', set, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then return 0 end
end
if tonumber(redis.call('HGET', running, 'q' .. SEP .. queue) or 0) > 0 then return 0 end

local function forget_lanes(hash, kind)
  for _, field in ipairs(redis.call('HKEYS', hash)) do
    if string.find(field, kind .. queue .. SEP, 1, true) == 1 then
      redis.call('HDEL', hash, field)
      if hash == rests then redis.call('ZREM', timers, 'S' .. field) end
    end
  end
end

redis.call('ZREM', ready, queue)
redis.call('ZREM', clock, queue)
redis.call('HDEL', turns, queue, '\31looked\31' .. queue)
redis.call('HDEL', rests, queue)
redis.call('ZREM', timers, 'Q' .. queue, 'S' .. queue)
redis.call('HDEL', policies, 'a' .. SEP .. queue, 'p' .. SEP .. queue)
for _, scope in ipairs({ 'q' .. SEP .. queue, 'p' .. SEP .. queue }) do
  redis.call('ZREMRANGEBYLEX', asleep, first_of(scope), last_of(scope))
end
-- There are as many fields as rules and rests of lanes in all, which people or actors made one by one.
forget_lanes(rests, '')
forget_lanes(policies, 'a' .. SEP)
local minute = math.floor(now / 60000)
for _, word in ipairs({ 'completed', 'failed', 'cancelled', 'retries' }) do
  local total = queue .. SEP .. word
  redis.call('HDEL', totals, total, total .. SEP .. minute, total .. SEP .. (minute - 1))
end
return 1
