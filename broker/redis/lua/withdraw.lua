-- PURPOSE: Take back jobs that have never begun, as if they had not been sent: their ids are free again.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, timers, delayed, clock, running, tally, totals, expiries, unique, outcomes, progress, steps, logs, markers
-- ARGV: id...
-- RETURNS: for each job 1 or 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, notes, removal
local answer = {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local state = record and record[STATE]
  local fresh = (state == 'waiting' or state == 'delayed') and record[DELIVERIES] == 0 and record[LOST] == 0
  if fresh then
    step_away(record, id)
    -- Also a name that is held for a time: the job is to be sent again, and would meet itself.
    local holder = record[UNIQUE] ~= '' and unique_holder(record[UNIQUE])
    if holder and holder[1] == id then redis.call('HDEL', unique, record[UNIQUE]) end
    forget({ id }, { now })
    redis.call('ZREM', markers, id)
  end
  answer[#answer + 1] = fresh and 1 or 0
end
write_counts()
return answer
