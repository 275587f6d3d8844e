-- PURPOSE: Change rules of a queue or lane while running; what may run by the new rules is awake at once.
-- KEYS: policies, waiting, lines, order, clocks, crowd, ready, timers, rests, asleep, running, tally, totals, expiries
-- ARGV: queue, lane, of_lane, changes
-- RETURNS: 1
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, places, counts, lines, limits, resting
-- `changes` is a packed map; false drops an adjustment. `lane` counts only when `of_lane` is 1.
local scope = of_lane == '1' and queue .. SEP .. lane or queue
local field = 'a' .. SEP .. scope
local found = redis.call('HGET', policies, field)
local adjusted = found and cmsgpack.unpack(found) or {}
for name, value in pairs(cmsgpack.unpack(changes)) do
  if value == false then value = nil end
  adjusted[name] = value
end
if next(adjusted) then
  redis.call('HSET', policies, field, cmsgpack.pack(adjusted))
else
  redis.call('HDEL', policies, field)
end

if of_lane == '1' then
  redis.call('HSET', policies, 'lanes', 1)
  if adjusted.paused then
    rest_lines(scope, nil)
    for _, line in ipairs(lines_of(scope)) do
      if tonumber(redis.call('HGET', lines, line) or 0) >= RESTING then sleep_for('p' .. SEP .. scope, 'L' .. line) end
    end
  else
    -- What still holds a line back is found when it is met.
    for _, line in ipairs(lines_of(scope)) do wake_line(line) end
    redis.call('HDEL', asleep, 'p' .. SEP .. scope)
  end
else
  if adjusted.paused then
    redis.call('HSET', policies, 'p' .. SEP .. queue, 1)
    redis.call('ZREM', ready, queue)
  else
    redis.call('HDEL', policies, 'p' .. SEP .. queue)
    redis.call('ZREM', timers, 'Q' .. queue)
    local lane_rules_changed = false
    for name in pairs(cmsgpack.unpack(changes)) do
      if string.sub(name, 1, 5) == 'lane_' then lane_rules_changed = true end
    end
    if lane_rules_changed then
      for _, line in ipairs(lines_that_rest(queue)) do wake_line(line) end
    end
    if redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then make_ready(queue) end
  end
end
write_counts()
return 1
