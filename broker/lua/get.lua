-- PURPOSE: Read jobs whole, in one snapshot.
-- KEYS: meta, payload, outcomes, progress
-- ARGV: id...
-- RETURNS: id, record, payload, outcome, progress of each job that is there
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record
local reply = {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local packed = redis.call('HGET', meta, id)
  if packed then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = id, packed, redis.call('HGET', payload, id)
    reply[n + 4], reply[n + 5] = redis.call('HGET', outcomes, id), redis.call('HGET', progress, id)
  end
end
return reply
