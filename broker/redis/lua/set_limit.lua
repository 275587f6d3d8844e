-- PURPOSE: Change the numbers of a limit while running, for all or for a tenant, and wake what waits for it.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, running, policies, overrides, permits, limited, tally, totals, expiries
-- ARGV: rule, field, changes, most
-- RETURNS: how many that wait were looked at (call again while it is `most`), then the queues in which something woke
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, limits, standing, resting, permits
-- `changes` is a packed map; false drops a change.
local found = redis.call('HGET', overrides, field)
local changed = found and cmsgpack.unpack(found) or {}
for name, value in pairs(cmsgpack.unpack(changes)) do
  if value == false then value = nil end
  changed[name] = value
end
if next(changed) then
  redis.call('HSET', overrides, field, cmsgpack.pack(changed))
else
  redis.call('HDEL', overrides, field)
end
-- What stands by does so by the numbers before: it asks again.
local stands = 's' .. SEP .. rule
redis.call('ZREMRANGEBYLEX', limited, '[' .. stands .. '\30', '(' .. stands .. '\31')
local from = 'w' .. SEP .. rule .. '\30'
local members = redis.call('ZRANGEBYLEX', limited, '[' .. from, '(w' .. SEP .. rule .. '\31', 'LIMIT', 0, most)
for _, member in ipairs(members) do
  redis.call('ZREM', limited, member)
  wake_waiter(member)
end
write_counts()
local answer = { #members }
for queue in pairs(woken) do answer[#answer + 1] = queue end
return answer
