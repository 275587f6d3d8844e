-- PURPOSE: End the permits of one request of a delivery before the delivery ends.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, running, starts, policies, meters, permits, limited, tally, totals, expiries
-- ARGV: id, token, request
-- RETURNS: the queues in which something woke
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, limits, standing, resting, meters, permits
local holding = holding_of(id)
local answer = {}
if not holding or holding.token ~= tonumber(token) then return answer end
local left, waits = {}, put_aside(holding)
for _, taken in ipairs(holding.taken) do
  if is_permit(taken) and taken.request == tonumber(request) then
    wake_waiters(taken.key, end_permit(taken, id, holding.token))
  else
    left[#left + 1] = taken
  end
end
if waits then redis.call('ZADD', limited, 0, waits) end
holding.taken = left
save_holding(id, holding)
write_counts()
for queue in pairs(woken) do answer[#answer + 1] = queue end
return answer
