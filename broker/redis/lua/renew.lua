-- PURPOSE: Prolong the lease of all jobs of a worker process at once.
-- KEYS: leases, workers
-- ARGV: owner, lease_ms
-- RETURNS: 1, or 0 when the lease was reclaimed before
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock
if not redis.call('ZSCORE', leases, owner) then return 0 end
redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
redis.call('HSET', workers, '', now)
return 1
