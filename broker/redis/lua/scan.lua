-- PURPOSE: Read jobs of a queue in one ordered set, from behind a member on.
-- KEYS: jobs, meta, outcomes, progress, set...
-- ARGV: queue, after, most
-- RETURNS: the member to go on from (empty: the end), then id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, places, reading
local set = KEYS[first_set]
local from = after == '' and first_of(queue) or '(' .. after
local members = redis.call('ZRANGEBYLEX', set, from, last_of(queue), 'LIMIT', 0, most)
local answer = { #members == tonumber(most) and members[#members] or '' }
local read = {}
for _, member in ipairs(members) do read_into(read, id_of(member)) end
for i = 1, 5 * #members do answer[i + 1] = read[i] or false end
return answer
