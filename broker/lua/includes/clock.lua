-- The server's clock rules: hosts may differ by minutes.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Finer, for the turns of queues: many fetches fall into one millisecond.
local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
