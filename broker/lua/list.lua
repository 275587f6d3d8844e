-- PURPOSE: Read one page of the jobs of a queue that are in one set.
-- KEYS: meta, payload, outcomes, progress, set...
-- ARGV: queue, offset, most, newest_first
-- RETURNS: id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, places
local set = KEYS[first_set]
local members
if newest_first == '1' then
  members = redis.call('ZREVRANGEBYLEX', set, last_of(queue), first_of(queue), 'LIMIT', offset, most)
else
  members = redis.call('ZRANGEBYLEX', set, first_of(queue), last_of(queue), 'LIMIT', offset, most)
end
local reply = {}
for _, member in ipairs(members) do
  local id, n = id_of(member), #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = id, redis.call('HGET', meta, id), redis.call('HGET', payload, id)
  reply[n + 4], reply[n + 5] = redis.call('HGET', outcomes, id), redis.call('HGET', progress, id)
end
return reply
