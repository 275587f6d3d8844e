-- PURPOSE: Remove jobs in any state but active.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, timers, delayed, clock, running, tally, totals, expiries, unique, completed, failed, cancelled, dead, outcomes, progress, steps, logs, markers
-- ARGV: ended_by, id...
-- RETURNS: for each job 1 or 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, notes, removal, departure
-- With `ended_by` (else -1) only what had ended by then.
local answer, horizon = {}, tonumber(ended_by)
local ENDED = { ['completed'] = true, ['failed'] = true, ['cancelled'] = true }

local function may_go(id)
  if horizon < 0 then return true end
  local record = load_record(id)
  return record and ENDED[record[STATE]] and record[FINISHED] <= horizon
end

for i = first_id, #ARGV do
  answer[#answer + 1] = may_go(ARGV[i]) and depart(ARGV[i]) and 1 or 0
end
write_counts()
return answer
