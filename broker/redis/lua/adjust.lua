-- PURPOSE: Change rules of a queue or lane while running; what may run by the new rules is awake at once.
-- KEYS: policies, lines, order, clocks, gates, ready, timers, rests, asleep, running, tally, totals, expiries
-- ARGV: queue, lane, of_lane, changes
-- RETURNS: 1 when lines of the queue may rest for a rule that has changed: `rouse` them; else 0
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

local lane_rules_changed = false
if of_lane == '1' then
  redis.call('HSET', policies, 'lanes', 1)
  if adjusted.paused then
    rest_lines(scope, nil)
    for _, line in ipairs(lines_of(scope)) do
      if tonumber(redis.call('HGET', lines, line) or 0) >= RESTING then sleep_for('p' .. SEP .. scope, 'L' .. line) end
    end
  else
    -- What still holds a lane back is found when it is met.
    for _, line in ipairs(lines_of(scope)) do wake_line(line) end
    local pause = 'p' .. SEP .. scope
    redis.call('ZREMRANGEBYLEX', asleep, first_of(pause), last_of(pause))
  end
else
  for name in pairs(cmsgpack.unpack(changes)) do
    local kind = string.sub(name, 1, 5)
    if kind == 'lane_' or kind == 'gate_' then lane_rules_changed = true end
  end
  -- Until it is done: whoever was to wake the lines may die.
  if lane_rules_changed then redis.call('HSET', policies, 'm' .. SEP .. queue, 1) end
  if adjusted.paused then
    redis.call('HSET', policies, 'p' .. SEP .. queue, 1)
    redis.call('ZREM', ready, queue)
  else
    redis.call('HDEL', policies, 'p' .. SEP .. queue)
    redis.call('ZREM', timers, 'Q' .. queue)
    wake_queue(queue)
  end
end
write_counts()
return lane_rules_changed and 1 or 0
