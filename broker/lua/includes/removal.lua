-- A job that leaves the store leaves a marker for two minutes, so that an enqueue repeated after a
-- lost reply does not run it again.
local MARKER_MS = 120000

local function remove_settled(ids, now)
  if #ids == 0 then return end
  redis.call('HDEL', meta, unpack(ids))
  redis.call('HDEL', payload, unpack(ids))
  redis.call('HDEL', outcomes, unpack(ids))
  redis.call('HDEL', progress, unpack(ids))
  local marks = {}
  for i, id in ipairs(ids) do
    marks[2 * i - 1], marks[2 * i] = now + MARKER_MS, id
  end
  redis.call('ZADD', markers, unpack(marks))
end

local function forget_markers(now, most)
  local old = redis.call('ZRANGEBYSCORE', markers, '-inf', now, 'LIMIT', 0, most)
  if #old > 0 then
    redis.call('ZREM', markers, unpack(old))
  end
end
