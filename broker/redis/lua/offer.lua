-- PURPOSE: Wake one waiting worker for each queue, unless a wake-up is already on its way.
-- KEYS: wake...
-- ARGV:
-- RETURNS: how many wake-ups were sent
-- EVENTS: none
-- OOM: allowed
-- INCLUDE:
local sent = 0
for i = first_wake, #KEYS do
  if redis.call('LLEN', KEYS[i]) == 0 then
    redis.call('LPUSH', KEYS[i], 1)
    sent = sent + 1
  end
end
return sent
