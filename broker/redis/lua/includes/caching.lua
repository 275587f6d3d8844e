-- Results that answer for later jobs. What is over goes first when there are too many, then what is over next.
local MOST_CACHED = 10000
local CACHED_BYTES = 67108864
local ALL_BYTES = '' -- the field that counts them

local function forget_cached(keys)
  for _, key in ipairs(keys) do
    local size = redis.call('HSTRLEN', cache, key)
    if redis.call('HDEL', cache, key) == 1 and redis.call('HINCRBY', cache, ALL_BYTES, -size) <= 0 then redis.call('HDEL', cache, ALL_BYTES) end
    redis.call('ZREM', cached, key)
  end
end

local function keep_in_cache(key, value, ttl)
  if #value > CACHED_BYTES then return end
  forget_cached({ key })
  redis.call('HSET', cache, key, value)
  redis.call('ZADD', cached, now + ttl, key)
  local size = redis.call('HINCRBY', cache, ALL_BYTES, #value)
  forget_cached(redis.call('ZRANGEBYSCORE', cached, '-inf', now, 'LIMIT', 0, 100))
  while redis.call('ZCARD', cached) > MOST_CACHED or size > CACHED_BYTES do
    local first = redis.call('ZRANGE', cached, 0, 0)[1]
    forget_cached({ first })
    size = tonumber(redis.call('HGET', cache, ALL_BYTES) or 0)
  end
end
