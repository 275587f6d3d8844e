-- PURPOSE: Read jobs whole, in one snapshot.
-- KEYS: jobs, meta, outcomes, progress
-- ARGV: id...
-- RETURNS: id, record, payload, outcome, progress of each job that is there
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, reading
local answer = {}
for i = first_id, #ARGV do read_into(answer, ARGV[i]) end
return answer
