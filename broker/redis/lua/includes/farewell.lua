-- A worker process has left or is dead: nothing is kept of it, and its turn to run suspects is another's.
-- Returns the queue to wake another process for, if it was this one that watched the timers.
local function forget_worker(owner)
  redis.call('ZREM', leases, owner)
  redis.call('HDEL', workers, owner)
  redis.call('HDEL', requests, owner)
  redis.call('ZREM', idle, owner)
  local turn = redis.call('HGET', turns, SEP)
  if turn and cmsgpack.unpack(turn)[1] == owner then redis.call('HDEL', turns, SEP) end
  local watch = redis.call('HGET', turns, WATCH)
  if not watch or cmsgpack.unpack(watch)[1] ~= owner then return nil end
  redis.call('HDEL', turns, WATCH)
  local _, soonest = next_timer()
  return soonest
end
