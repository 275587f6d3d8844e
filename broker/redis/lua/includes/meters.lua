-- Counters of limits. Numbers stay whole: a level is counted in tokens * per (in us), and runs off by `limit` a us.
-- What is taken may be of a moment to come: then its job starts at that moment.
-- A want's parts, as broker/redis/redis_limits.py packs them.
local WANT_KEY = 1
local WANT_RULE = 2
local WANT_KIND = 3
local WANT_LIMIT = 4
local WANT_PER = 5
local WANT_BURST = 6
local WANT_COST = 7
local WANT_TENANT = 8
local WANT_WAITS = 9
local WANT_SLOWS = 10
local HALF_OPEN = 'half'

local function meter_of(key)
  local packed = redis.call('HGET', meters, key)
  return packed and cmsgpack.unpack(packed)
end

-- How much of its rate a provider is given since its last overload, in thousandths.
local function share_of(provider)
  local state = meter_of(provider)
  if not state or not state.cut_at then return 1000 end
  return math.min(1000, state.share + 100 * math.floor((now - state.cut_at) / state.recover))
end

-- The want with what was changed while running.
local function as_it_holds(want)
  local found = redis.call('HMGET', overrides, want[WANT_RULE], want[WANT_RULE] .. '\30' .. want[WANT_TENANT])
  for i = 1, want[WANT_TENANT] == '' and 1 or 2 do
    local changes = found[i] and cmsgpack.unpack(found[i]) or {}
    want[WANT_LIMIT] = changes.limit or want[WANT_LIMIT]
    want[WANT_PER] = changes.per_ms or want[WANT_PER]
    want[WANT_BURST] = changes.burst or want[WANT_BURST]
  end
  if want[WANT_SLOWS] ~= '' then
    want[WANT_LIMIT] = math.max(1, math.floor(want[WANT_LIMIT] * share_of(want[WANT_SLOWS]) / 1000))
  end
  local kind = want[WANT_KIND]
  local most = want[WANT_LIMIT]
  if kind == 'token_bucket' then
    if want[WANT_BURST] == 0 then want[WANT_BURST] = most end
    most = want[WANT_BURST]
  elseif kind == 'gcra' then
    want[WANT_BURST] = math.max(1, want[WANT_BURST])
    most = want[WANT_BURST]
  end
  if kind ~= 'breaker' then want[WANT_COST] = math.min(want[WANT_COST], most) end
  return want
end

local function permits_taken(key)
  local name = 'p' .. SEP .. key
  return redis.call('ZLEXCOUNT', limited, first_of(name), last_of(name))
end

local function waiters_of(key)
  local name = 'w' .. SEP .. key
  return redis.call('ZLEXCOUNT', limited, first_of(name), last_of(name))
end

local function window_name(key) return 'm' .. SEP .. key end

local function level_of(want)
  local state = meter_of(want[WANT_KEY])
  if not state or not state.us then return 0 end
  local level = state.level
  if state.per ~= want[WANT_PER] then level = math.floor(level * want[WANT_PER] / state.per) end
  return math.max(0, level - (now * 1000 - state.us) * want[WANT_LIMIT])
end

-- In how many us a level has run off so far that the want has what it needs.
local function level_wait(want)
  local lacks = (want[WANT_COST] - want[WANT_BURST]) * want[WANT_PER] * 1000 + level_of(want)
  return math.max(0, math.ceil(lacks / want[WANT_LIMIT]))
end

local function is_level(kind) return kind == 'token_bucket' or kind == 'gcra' end

local function used_in_window(want)
  local state = meter_of(want[WANT_KEY])
  return state and state.window == math.floor(now / want[WANT_PER]) and state.used or 0
end

-- How the breaker of a provider stands: closed, open or half.
local function breaker_of(state)
  if not state or not state.open_until then return 'closed' end
  return now < state.open_until and 'open' or HALF_OPEN
end

-- How many units are free now, and when as many as the want needs will be (huge: when somebody gives some back).
local function room_and_time(want)
  local key, kind, limit, per, cost = want[WANT_KEY], want[WANT_KIND], want[WANT_LIMIT], want[WANT_PER], want[WANT_COST]
  if kind == 'concurrency' then
    local room = limit - permits_taken(key)
    return room, room >= cost and now or math.huge
  elseif kind == 'fixed_window' then
    local room = limit - used_in_window(want)
    return room, room >= cost and now or (math.floor(now / per) + 1) * per
  elseif kind == 'sliding_window' then
    local name = window_name(key)
    local room = rate_left(name, limit, per)
    return room, room >= cost and now or rate_free_at(name, limit - cost + 1, per)
  elseif kind == 'breaker' then
    local state = meter_of(key)
    local stands = breaker_of(state)
    if stands == 'closed' then return math.huge, now end
    if stands == 'open' then return 0, state.open_until end
    local room = 1 - permits_taken(key)
    return room, room > 0 and now or math.huge
  end
  local free = want[WANT_BURST] * per * 1000 - level_of(want)
  return math.floor(free / (per * 1000)), now + math.ceil(level_wait(want) / 1000)
end

local function remember_counter(want, until_ms)
  redis.call('ZADD', limited, 0, 'k' .. SEP .. want[WANT_KEY] .. SEP .. want[WANT_TENANT])
  redis.call('ZADD', expiries, until_ms, 'K' .. want[WANT_KEY])
end

local PERMITS_KEPT_MS = 3600000

local function permit_place(key, id, token, request, n)
  return 'p' .. SEP .. key .. SEP .. id .. SEP .. token .. SEP .. request .. SEP .. n
end

-- Take what is there, or will be in `wait_us`; returns what gives it back.
local function take(want, id, token, request, wait_us)
  local key, kind, per, cost = want[WANT_KEY], want[WANT_KIND], want[WANT_PER], want[WANT_COST]
  local at = now + math.floor(wait_us / 1000)
  local taken = { key = key, kind = kind, units = cost, at = at, per = per, request = request }
  if kind == 'concurrency' or kind == 'breaker' then
    for n = 1, cost do redis.call('ZADD', limited, 0, permit_place(key, id, token, request, n)) end
    remember_counter(want, now + PERMITS_KEPT_MS)
  elseif kind == 'fixed_window' then
    local window = math.floor(now / per)
    redis.call('HSET', meters, key, cmsgpack.pack({ window = window, used = used_in_window(want) + cost }))
    taken.window = window
    remember_counter(want, (window + 1) * per)
  elseif kind == 'sliding_window' then
    for n = 1, cost do log_start(window_name(key), id .. SEP .. request .. SEP .. n, token, per, at) end
    remember_counter(want, at + per)
  else
    local level = math.max(0, level_of(want) - wait_us * want[WANT_LIMIT]) + cost * per * 1000
    redis.call('HSET', meters, key, cmsgpack.pack({ level = level, us = now * 1000 + wait_us, per = per }))
    remember_counter(want, at + math.ceil(level / want[WANT_LIMIT] / 1000))
  end
  return taken
end

-- What was taken by a delivery that did not run after all.
local function put_back(taken, id, token)
  local key = taken.key
  if taken.kind == 'sliding_window' then
    for n = 1, taken.units do
      redis.call('ZREM', starts, start_place(window_name(key), taken.at, id .. SEP .. taken.request .. SEP .. n, token))
    end
    return
  end
  local state = meter_of(key)
  if not state then return end
  if taken.kind == 'fixed_window' then
    if state.window ~= taken.window then return end
    state.used = math.max(0, state.used - taken.units)
  else
    state.level = math.max(0, state.level - taken.units * state.per * 1000)
  end
  redis.call('HSET', meters, key, cmsgpack.pack(state))
end
