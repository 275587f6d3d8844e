-- A worker process has left or is dead: nothing is kept of it, and its turn to run suspects is another's.
-- Returns the queue to wake another process for, if it was this one that watched the timers.
local function forget_worker(owner)
  redis.call('ZREM', leases, owner)
  redis.call('HDEL', workers, owner)
  redis.call('HDEL', requests, owner)
  redis.call('ZREM', idle, owner)
  drop_turn_alone(owner)
  if who_watches()[WATCH_OWNER] ~= owner then return nil end
  redis.call('HDEL', turns, WATCH)
  local _, soonest = next_timer()
  return soonest
end
