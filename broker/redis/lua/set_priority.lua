-- PURPOSE: Change the priority of jobs that have not started.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, policies, running, tally, totals, expiries
-- ARGV: priority, id...
-- RETURNS: for each job 1 or 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing
local answer = {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local changes = record and (record[STATE] == 'waiting' or record[STATE] == 'delayed')
  if changes then
    if record[STATE] == 'waiting' and not is_apart(record) then
      step_out(record, id)
      record[PRIORITY] = tonumber(priority)
      line_up(record, id)
    else
      record[PRIORITY] = tonumber(priority)
    end
    save_record(id, record)
  end
  answer[#answer + 1] = changes and 1 or 0
end
write_counts()
return answer
