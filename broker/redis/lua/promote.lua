-- PURPOSE: Let delayed jobs, and jobs held by themselves, run now.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, policies, delayed, clock, running, tally, totals, expiries
-- ARGV: id...
-- RETURNS: for each job 1 or 0, then the queues that have work
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing
local answer, queues = {}, {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local held_back = record and (record[STATE] == 'delayed' or (is_apart(record) and record[DUE] > 0))
  if held_back then
    local was_delayed = record[STATE] == 'delayed'
    step_away(record, id)
    record[DUE], record[REASON] = 0, ''
    if was_delayed then record[PLACE], record[READY] = now_us + i, now end
    line_up(record, id)
    save_record(id, record)
    queues[record[QUEUE]] = true
  end
  answer[#answer + 1] = held_back and 1 or 0
end
write_counts()
for queue in pairs(queues) do answer[#answer + 1] = queue end
return answer
