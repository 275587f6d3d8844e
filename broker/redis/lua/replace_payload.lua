-- PURPOSE: Put another payload in the place of the one that the caller saw.
-- KEYS: jobs
-- ARGV: id, expected, payload
-- RETURNS: 1, or 0 when that payload is not there
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: record
local creation = redis.call('HGET', jobs, id)
if not creation or #creation < PREFIX_BYTES or payload_of(creation) ~= expected then return 0 end
redis.call('HSET', jobs, id, string.sub(creation, 1, #creation - #expected) .. payload)
return 1
