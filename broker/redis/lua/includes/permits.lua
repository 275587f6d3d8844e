-- What deliveries hold of limits, and what waits for them: a job by itself, or a scope that rests in drips: it may
-- start as many jobs as may run under the limit, and no more before these have asked.
local any_permits = nil
local kept_waiting = {}

local function holding_of(id)
  if any_permits == nil then any_permits = redis.call('HLEN', permits) > 0 end
  local packed = any_permits and redis.call('HGET', permits, id)
  return packed and cmsgpack.unpack(packed) or nil
end

local function save_holding(id, holding)
  any_permits = true
  redis.call('HSET', permits, id, cmsgpack.pack(holding))
end

local function wake_scope(scope, more)
  local packed = redis.call('HGET', rests, scope)
  local rest = packed and cmsgpack.unpack(packed)
  if not rest or not rest[3] then return false end -- it rests for another reason, or not yet
  rest[3] = rest[1] == 0 and rest[3] + more or more
  rest[1] = 0
  redis.call('HSET', rests, scope, cmsgpack.pack(rest))
  redis.call('ZADD', timers, now + DRIPS_KEPT_MS, 'S' .. scope)
  wake_what_rests(scope)
  woken[string.match(scope, '^[^\31]*')] = true
  return true
end

-- Let go on what waits; false when it does not wait any more.
local function wake_waiter(member)
  local id, scope = string.match(member, '^w\31[^\31]*\31[^\31]*\31([^\31]*)\31(.*)$')
  if not id then return false end
  if scope ~= '' then return wake_scope(scope, 1) end
  local holding = holding_of(id)
  if holding and holding.refused then return true end -- its worker puts it back soon, and it goes on then
  local record = load_record(id)
  if not record or record[STATE] ~= 'waiting' or record[DUE] == 0 then return false end
  stop_holding(record, id)
  woken[record[QUEUE]] = true
  return true
end

-- While permits are brief, jobs stand by: they wait in their threads for the next one, which is handed to them when
-- another ends. As many may as would be through before a further job has come.
local BRIEF_MS = 500
local STANDS_LEAST_MS = 100
local STANDS_MOST_MS = 1000
local COMES_IN_MS = 15
local MOST_STANDING = 16
local HELD_FOLLOWS = 0.2

local function is_brief(want)
  local state = want[WANT_KIND] == 'concurrency' and meter_of(want[WANT_KEY])
  return state and state.lasts and state.lasts <= BRIEF_MS and math.max(1, state.lasts)
end

-- By then one has ended, where they last as long as they do.
local function stands_for(want)
  return math.floor(math.max(STANDS_LEAST_MS, math.min(2 * is_brief(want), STANDS_MOST_MS)))
end

local function places_to_stand(want)
  local ms = is_brief(want)
  if not ms then return 0 end
  local name, at_once = 's' .. SEP .. want[WANT_KEY], want[WANT_LIMIT] / want[WANT_COST]
  local most = math.min(math.ceil(at_once * COMES_IN_MS / ms) + 1, math.max(1, math.floor(at_once * STANDS_LEAST_MS / ms)), MOST_STANDING)
  return most - redis.call('ZLEXCOUNT', limited, first_of(name), last_of(name))
end

-- Whether a job that waits for this would keep a place that jobs which do not wait for it could have: the last one
-- under a cap of more than what waits.
local function keeps_the_last_place(record, want)
  local wider = { queue = record[SHARE] ~= '' and 1 or 0, lane = 1, gate = 2, job = 3 }
  for i, limit in ipairs(limits_of(record[QUEUE], record[LANE], record[GATE])) do
    if i <= wider[want[WANT_WAITS]] and limit.cap and running_under(limit.name) >= limit.cap then return true end
  end
  return false
end

-- Give what is free to the first that stands by; returns how many units.
local function hand_over(key)
  local name = 's' .. SEP .. key
  local place = redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, 1)[1]
  if not place then return 0 end
  local id, units = string.match(place, '([^\31]*)$'), 0
  local holding = holding_of(id)
  local stands = holding and holding.standing
  if not stands or stands.place ~= place then
    redis.call('ZREM', limited, place)
    return hand_over(key)
  end
  for _, want in ipairs(stands.wants) do
    local room = room_and_time(want)
    if room < want[WANT_COST] or (want[WANT_KIND] == 'breaker' and room < math.huge) then return 0 end
  end
  for _, want in ipairs(stands.wants) do
    if want[WANT_KIND] ~= 'breaker' then table.insert(holding.taken, take(want, id, holding.token, stands.request, 0)) end
    if want[WANT_KEY] == key then units = want[WANT_COST] end
  end
  redis.call('ZREM', limited, place)
  holding.request, holding.refused, holding.standing = stands.request, nil, nil
  save_holding(id, holding)
  redis.call('LPUSH', stands.list, 1)
  redis.call('PEXPIRE', stands.list, STANDS_MOST_MS)
  return units
end

-- So many units of a counter are free again. For each that is handed over another job may come and stand by.
local function wake_waiters(key, units)
  local name, left = 'w' .. SEP .. key, units
  while left > 0 do
    local handed = hand_over(key)
    left = handed > 0 and left - handed or 0
  end
  while units > 0 do
    local member = redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, 1)[1]
    if not member then return end
    redis.call('ZREM', limited, member)
    if wake_waiter(member) then units = units - 1 end
  end
end

-- The next that wait are called while the permits are still held, so that they stand by when one is free.
local function call_to_stand(want)
  local name = 'w' .. SEP .. want[WANT_KEY]
  for _ = 1, places_to_stand(want) do
    local member = redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, 1)[1]
    if not member then return end
    redis.call('ZREM', limited, member)
    wake_waiter(member)
  end
end

local function waiting_for(key, place, id, scope)
  return 'w' .. SEP .. key .. SEP .. string.format('%013x', place) .. SEP .. id .. SEP .. scope
end

local function is_permit(taken) return taken.kind == 'concurrency' or taken.kind == 'breaker' end

local function end_permit(taken, id, token)
  if taken.kind == 'concurrency' then
    local state, took = meter_of(taken.key) or {}, now - taken.at
    state.lasts = state.lasts and state.lasts + HELD_FOLLOWS * (took - state.lasts) or took
    redis.call('HSET', meters, taken.key, cmsgpack.pack(state))
  end
  for n = 1, taken.units do redis.call('ZREM', limited, permit_place(taken.key, id, token, taken.request, n)) end
  return taken.units
end

local function permits_held(holding, key)
  local units = 0
  for _, taken in ipairs(holding.taken) do
    if taken.key == key and taken.kind == 'concurrency' then units = units + taken.units end
  end
  return units
end

-- A job that was refused one more permit than it held waits for another's: woken by its own it would start at once, to
-- be refused again. So its place is put aside while its own are handed on; returns it if it waits in it.
local function put_aside(holding)
  local refused = holding.refused
  if #holding.taken == 0 or not refused or refused.scope ~= '' then return nil end
  return redis.call('ZREM', limited, refused.place) == 1 and refused.place or nil
end

-- A delivery is over: its permits are free, and what it took before it ran is put back when it did not run.
local function end_holding(id, unspent)
  local holding = holding_of(id)
  if not holding then return end
  redis.call('HDEL', permits, id)
  if holding.standing then redis.call('ZREM', limited, holding.standing.place) end
  if holding.refused and not kept_waiting[id] and holding.refused.scope == '' then
    redis.call('ZREM', limited, holding.refused.place)
  end
  local waits = kept_waiting[id] and put_aside(holding)
  for _, taken in ipairs(holding.taken) do
    if is_permit(taken) then
      wake_waiters(taken.key, end_permit(taken, id, holding.token))
    elseif unspent and taken.request == 0 then
      put_back(taken, id, holding.token)
    end
  end
  if waits then redis.call('ZADD', limited, 0, waits) end
end

-- Jobs that were cancelled or promoted while they waited wait no more.
local function forget_waiters(key, most)
  local name = 'w' .. SEP .. key
  for _, member in ipairs(redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, most)) do
    local id, scope = string.match(member, '^w\31[^\31]*\31[^\31]*\31([^\31]*)\31(.*)$')
    local record = id and scope == '' and load_record(id)
    local waits = record and (record[STATE] == 'active' or (record[STATE] == 'waiting' and record[DUE] > 0))
    local rest = id and scope ~= '' and redis.call('HGET', rests, scope)
    if rest then waits = cmsgpack.unpack(rest)[5] == member end
    if not waits and not (scope ~= '' and holding_of(id)) then redis.call('ZREM', limited, member) end
  end
end

-- A scope rests until `at` and may then start `n` jobs, before these have asked.
local function rest_in_drips(scope, at, reason, n, place)
  local packed = redis.call('HGET', rests, scope)
  local old = packed and cmsgpack.unpack(packed)
  if old and not old[3] and old[1] >= at then return end
  redis.call('HSET', rests, scope, cmsgpack.pack({ at, reason, n, old and old[4] or 0, place }))
  redis.call('ZADD', timers, at, 'S' .. scope)
  put_to_rest(scope, at)
end

-- A job that was refused is back in its place, with what waits for the same; false: it was no limit that held it.
local function wait_for_limit(record, id, reason)
  local holding = holding_of(id)
  local refused = holding and holding.refused
  if not refused then return false end
  if not redis.call('ZSCORE', limited, refused.place) then
    line_up(record, id) -- what it waited for has come meanwhile
  elseif refused.scope == '' then
    kept_waiting[id] = true
    hold_apart(record, id, math.max(now + 1, refused.at), reason)
  else
    kept_waiting[id] = true
    line_up(record, id)
    rest_in_drips(refused.scope, math.max(now + 1, refused.at), reason, refused.n, refused.place)
  end
  return true
end
