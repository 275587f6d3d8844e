-- PURPOSE: Wake what rests in a queue whose rules have changed, on from a line, at most so many lines.
-- KEYS: policies, waiting, lines, order, clocks, gates, ready, timers, rests, running, tally, totals, expiries
-- ARGV: queue, after, most
-- RETURNS: the last line that was looked at (give it as `after`), or nothing when it was the last of the queue; and whether the queue has work
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, places, counts, lines, resting
-- What still holds a line back is found when it is met.
if after == '' then
  redis.call('ZREM', timers, 'Q' .. queue)
  wake_queue(queue)
end
local from = after == '' and first_of(queue) or '[' .. after .. '\32'
local line
for _ = 1, tonumber(most) do
  local member = redis.call('ZRANGEBYLEX', waiting, from, last_of(queue), 'LIMIT', 0, 1)[1]
  line = member and string.match(member, '^(.-\31..\31[^\31]*)')
  if not line then break end
  wake_line(line)
  -- A lane whose jobs all have gates is met by one of them only.
  if gate_of(line) ~= '' then wake_line(whole_lane(line)) end
  from = '[' .. line .. '\32'
end
write_counts()
if not line then redis.call('HDEL', policies, 'm' .. SEP .. queue) end
return { line or '', redis.call('ZSCORE', ready, queue) and 1 or 0 }
