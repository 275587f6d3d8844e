-- PURPOSE: Enter a worker process into the registry and give it a lease.
-- KEYS: workers, leases, policies
-- ARGV: owner, lease_ms, info
-- RETURNS: 1, or 0 when the settings' rules are not here: the server is new, or has lost its data
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock
redis.call('HSET', workers, owner, string.format('%013d', now) .. info, '', now)
redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
return redis.call('HEXISTS', policies, 'configured')
