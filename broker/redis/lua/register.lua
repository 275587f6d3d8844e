-- PURPOSE: Enter a worker process into the registry and give it a lease.
-- KEYS: workers, leases
-- ARGV: owner, lease_ms, info
-- RETURNS: the server's time
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock
redis.call('HSET', workers, owner, string.format('%013d', now) .. info, '', now)
redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
return now
