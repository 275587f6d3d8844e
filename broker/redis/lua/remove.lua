-- PURPOSE: Remove jobs in any state but active.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, timers, delayed, clock, running, tally, totals, expiries, unique, completed, failed, cancelled, dead, outcomes, progress, markers
-- ARGV: id...
-- RETURNS: for each job 1 or 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, removal, departure
local answer = {}
for i = first_id, #ARGV do
  answer[#answer + 1] = depart(ARGV[i]) and 1 or 0
end
write_counts()
return answer
