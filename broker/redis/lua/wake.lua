-- PURPOSE: End the rest of a queue, lane or gate now.
-- KEYS: policies, lines, order, clocks, gates, ready, timers, rests, running, tally, totals, expiries
-- ARGV: scope
-- RETURNS: 1
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, places, counts, lines, resting
end_rest(scope)
write_counts()
return 1
