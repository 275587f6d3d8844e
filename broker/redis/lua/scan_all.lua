-- PURPOSE: Read jobs of all queues and states, in no order; what is there all the time is read at least once.
-- KEYS: jobs, meta, outcomes, progress
-- ARGV: cursor, most
-- RETURNS: the cursor to go on from (empty: the end), then id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, reading
local reply = redis.call('HSCAN', jobs, cursor, 'COUNT', most)
local found, read = reply[2], {}
local answer = { reply[1] == '0' and '' or reply[1] }
for i = 1, #found, 2 do read_into(read, found[i]) end
for i = 1, 5 * #found / 2 do answer[i + 1] = read[i] or false end
return answer
