-- PURPOSE: After a change of priority_scope, move waiting jobs to the band in which they belong now, at most `most`.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, policies, running, tally, totals, expiries
-- ARGV: most, queue...
-- RETURNS: how many were moved; call again while it is not 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing
local moved = 0

for i = first_queue, #ARGV do
  local queue = ARGV[i]
  -- Band 00 is for lanes before bands; the others are priorities.
  local from, to = '[' .. queue .. SEP .. '00' .. SEP, '(' .. queue .. SEP .. '01'
  if band_for(queue, 1) == 0 then from, to = '[' .. queue .. SEP .. '01', last_of(queue) end
  for _, member in ipairs(redis.call('ZRANGEBYLEX', waiting, from, to, 'LIMIT', 0, tonumber(most) - moved)) do
    local id = string.match(member, '.*\31(.*)')
    local record = load_record(id)
    if record then
      step_out(record, id)
      line_up(record, id)
      save_record(id, record)
      moved = moved + 1
    end
  end
  leave_ready_when_idle(queue)
end
write_counts()
return moved
