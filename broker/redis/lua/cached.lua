-- PURPOSE: Read a cached result.
-- KEYS: cache, cached
-- ARGV: name
-- RETURNS: the result, or nothing when there is none or its time is over
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock
local ends = redis.call('ZSCORE', cached, name)
if not ends or tonumber(ends) <= now then return false end
return redis.call('HGET', cache, name)
