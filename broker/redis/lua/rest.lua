-- PURPOSE: Start nothing of a queue, lane or gate for a while; a longer rest stays as it is.
-- KEYS: lines, order, clocks, gates, ready, timers, rests, running, tally, totals, expiries
-- ARGV: scope, for_ms, reason
-- RETURNS: until when it rests
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, places, counts, lines, resting
rest_scope(scope, now + tonumber(for_ms), reason)
write_counts()
return now + tonumber(for_ms)
