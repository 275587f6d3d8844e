-- The server's clock rules: hosts may differ by minutes. `now` is in milliseconds; `now_us`, in
-- microseconds, is for the turns of queues, as many fetches fall into one millisecond.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_us = time[1] * 1000000 + time[2]
