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

-- So many units of a counter are free again.
local function wake_waiters(key, units)
  local name = 'w' .. SEP .. key
  while units > 0 do
    local member = redis.call('ZRANGEBYLEX', limited, first_of(name), last_of(name), 'LIMIT', 0, 1)[1]
    if not member then return end
    redis.call('ZREM', limited, member)
    if wake_waiter(member) then units = units - 1 end
  end
end

local function waiting_for(key, place, id, scope)
  return 'w' .. SEP .. key .. SEP .. string.format('%013x', place) .. SEP .. id .. SEP .. scope
end

local function is_permit(taken) return taken.kind == 'concurrency' or taken.kind == 'breaker' end

local function end_permit(taken, id, token)
  for n = 1, taken.units do redis.call('ZREM', limited, permit_place(taken.key, id, token, taken.request, n)) end
  return taken.units
end

-- A delivery is over: its permits are free, and what it took before it ran is put back when it did not run.
local function end_holding(id, unspent)
  local holding = holding_of(id)
  if not holding then return end
  redis.call('HDEL', permits, id)
  if holding.refused and not kept_waiting[id] and holding.refused.scope == '' then
    redis.call('ZREM', limited, holding.refused.place)
  end
  for _, taken in ipairs(holding.taken) do
    if is_permit(taken) then
      wake_waiters(taken.key, end_permit(taken, id, holding.token))
    elseif unspent and taken.request == 0 then
      put_back(taken, id, holding.token)
    end
  end
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
