-- PURPOSE: Begin to count the members of a group that are completed. One that is there stays as it is.
-- KEYS: groups, expiries
-- ARGV: group, size, ttl
-- RETURNS: 1, or 0 when it was there
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock
if redis.call('HSETNX', groups, group, cmsgpack.pack({ tonumber(size), 0, '' })) == 0 then return 0 end
redis.call('ZADD', expiries, now + tonumber(ttl), 'G' .. group)
return 1
