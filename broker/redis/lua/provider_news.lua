-- PURPOSE: Note what a run said about its provider; its breaker opens, closes, or its rate is made smaller.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, running, policies, meters, permits, limited, tally, totals, expiries
-- ARGV: key, what, wait_ms, terms, most, probe
-- RETURNS: closed, open or half; until when it is open or 0; how many ms it stays open; how many that wait were woken (call again while it is `most`); then the queues in which something woke
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, limits, standing, resting, meters, permits
-- `what` is worked, failed, overloaded, reset, or woken: it has closed, and the others that wait are woken.
-- While it is half-open only the `probe` is asked (1): what others say, that began before, is of another time.
local ONE_CUT_MS = 1000 -- what comes at once is one overload
local LEAST_SHARE = 20
local KEPT_MS = 86400000
local told = cmsgpack.unpack(terms)
local state = meter_of(key) or { failures = 0, since = 0, times = 0, share = 1000 }
local stands, wakes = breaker_of(state), false

local function open(for_ms)
  state.open_until = now + math.max(for_ms, tonumber(wait_ms))
  state.failures = 0
end

if what == 'reset' or (what == 'worked' and stands == HALF_OPEN and probe == '1') then
  if what == 'reset' then state.cut_at = nil end
  state.open_until, state.times, state.failures, wakes = nil, 0, 0, true
elseif what == 'woken' then
  wakes = stands == 'closed'
elseif what ~= 'worked' then
  if what == 'overloaded' and now - (state.cut_at or 0) >= ONE_CUT_MS then
    state.share = math.max(LEAST_SHARE, math.floor(share_of(key) * told.cut / 1000))
    state.cut_at, state.recover = now, told.recover
  end
  if stands == HALF_OPEN and probe == '1' then
    state.times = state.times + 1
    open(math.min(told.longest, told.open * 2 ^ math.min(state.times, 20)))
  elseif stands == 'closed' and what == 'failed' then
    if now - state.since > told.window then state.since, state.failures = now, 0 end
    state.failures = state.failures + 1
    if state.failures >= told.failures then open(told.open) end
  end
end
if what == 'reset' then redis.call('HDEL', meters, key) else redis.call('HSET', meters, key, cmsgpack.pack(state)) end
redis.call('ZADD', expiries, now + KEPT_MS, 'K' .. key)

local n = 0
if wakes then
  local name = 'w' .. SEP .. key
  for _, member in ipairs(redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, most)) do
    redis.call('ZREM', limited, member)
    wake_waiter(member)
    n = n + 1
  end
end
write_counts()
local answer = { breaker_of(state), state.open_until or 0, math.max(0, (state.open_until or now) - now), n }
for queue in pairs(woken) do answer[#answer + 1] = queue end
return answer
