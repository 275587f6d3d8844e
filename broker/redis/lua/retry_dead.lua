-- PURPOSE: Run failed and cancelled jobs again, with all their attempts.
-- KEYS: jobs, meta, steps, waiting, apart, lines, order, clocks, ready, rests, policies, unique, running, tally, totals, expiries, failed, cancelled, dead, gates
-- ARGV: ended_by, from_start, id...
-- RETURNS: for each job 1 or 0, then the queues that have work
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, notes
-- Not those that ended after `ended_by`: they may have run again since this was asked for the first time. Not
-- those whose unique name another job holds.
local answer, queues = {}, {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local state = record and record[STATE]
  local ended = state == 'failed' or state == 'cancelled'
  local again = ended and record[FINISHED] <= tonumber(ended_by) and retake_unique(record, id)
  if again then
    redis.call('ZREM', state == 'failed' and failed or cancelled, settled_place(record, id))
    redis.call('ZREM', dead, timed_place(record[DEAD_LETTER], record[FINISHED], id))
    count_job(record, state, -1)
    -- A job that is cancelled before it starts has an event without a delivery; the next one needs another token.
    if state == 'cancelled' or record[DELIVERIES] == 0 then record[DELIVERIES] = record[DELIVERIES] + 1 end
    record[ATTEMPTS], record[LOST], record[INTERRUPTIONS], record[CANCEL], record[FINISHED] = 0, 0, 0, 0, 0
    record[PLACE], record[READY], record[STARTED] = now_us + #answer + 1, now, 0
    record[REASON] = ''
    if record[BEGUN] then record[BEGUN] = 0 end
    if from_start == '1' then begin_anew(id) end
    line_up(record, id)
    save_record(id, record)
    queues[record[QUEUE]] = true
  end
  answer[#answer + 1] = again and 1 or 0
end
write_counts()
for queue in pairs(queues) do answer[#answer + 1] = queue end
return answer
