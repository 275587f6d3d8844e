-- PURPOSE: Read how late the jobs of a queue came that have not started, from behind a member on.
-- KEYS: jobs, apart, delayed, set...
-- ARGV: queue, after, most
-- RETURNS: the member to go on from (empty: the end), then of each job a text: in the order of these the latest is last
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, places, ages
local set = KEYS[first_set]
local members = redis.call('ZRANGEBYLEX', set, after == '' and first_of(queue) or '(' .. after, last_of(queue), 'LIMIT', 0, most)
local answer = { #members == tonumber(most) and members[#members] or '' }
for i, member in ipairs(members) do answer[i + 1] = lateness(set, member) end
return answer
