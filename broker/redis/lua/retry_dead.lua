-- PURPOSE: Run failed and cancelled jobs again, with all their attempts.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, crowd, ready, rests, policies, running, tally, totals, expiries, failed, cancelled, dead
-- ARGV: id...
-- RETURNS: for each job 1 or 0, then the queues that have work
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing
local answer, queues = {}, {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local state = record and record[STATE]
  local again = state == 'failed' or state == 'cancelled'
  if again then
    redis.call('ZREM', state == 'failed' and failed or cancelled, settled_place(record, id))
    redis.call('ZREM', dead, timed_place(record[DEAD_LETTER], record[FINISHED], id))
    count_job(record, state, -1)
    record[ATTEMPTS], record[LOST], record[INTERRUPTIONS], record[CANCEL], record[FINISHED] = 0, 0, 0, 0, 0
    record[PLACE], record[READY], record[STARTED] = now_us + i, now, 0
    line_up(record, id)
    save_record(id, record)
    queues[record[QUEUE]] = true
  end
  answer[#answer + 1] = again and 1 or 0
end
write_counts()
for queue in pairs(queues) do answer[#answer + 1] = queue end
return answer
