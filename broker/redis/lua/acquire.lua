-- PURPOSE: Take what a running job wants of limits, all of it or nothing; if nothing, say when to come back.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, rests, running, starts, policies, overrides, meters, permits, limited, tally, totals, expiries
-- ARGV: owner, id, token, request, wants, patience, list
-- RETURNS: 1 (granted), 2 (it stands by), 0 (refused), -1 (another's by now) or -2 (it lacks only what it holds itself); the us to wait before it may start, or the ms to stand by, or to wait; the counter that refuses; what is to rest; 1 for a provider's probe; 1 when a process should look again at the job's queue; 1 when its permits are brief; then the queues in which something woke
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, rules, lines, limits, standing, resting, meters, permits
-- `request` numbers what one delivery asks for, one after the other, so that a repeated call takes nothing twice and one
-- that comes late nothing; 0 is before the run, and is put back when the job is held or handed back. What is refused is kept until its worker has put the job back.
-- A caller with `patience` (ms) is given what will be there so soon, and is called earlier by half of it, so that
-- nothing is lost on the way; where permits are brief it stands by until one is handed over, by an entry of `list`.
local RECHECK_MS = 60000
local TOGETHER_MS = 10
local MOST_AT_ONCE = 1000
local record = load_record(id)
token, request, patience = tonumber(token), tonumber(request), tonumber(patience)
if not record or record[STATE] ~= 'active' or record[OWNER] ~= owner or record[DELIVERIES] ~= token then return { -1, 0, '', '', 0, 0, 0 } end
local holding = holding_of(id) or { token = token, taken = {}, request = -1 }
local stood = holding.standing
if stood then
  redis.call('ZREM', limited, stood.place)
  holding.standing = nil
end
if holding.request == request then return { 1, 0, '', '', holding.probe and 1 or 0, 0, 0 } end
if holding.request > request then return { -1, 0, '', '', 0, 0, 0 } end -- nobody waits for the answer any more

local all = cmsgpack.unpack(wants)

local function scope_of_want(want)
  local waits, lane = want[WANT_WAITS], record[QUEUE] .. SEP .. record[LANE]
  if waits == 'queue' then return record[QUEUE] end
  if waits == 'lane' then return lane end
  return waits == 'gate' and lane .. SEP .. record[GATE] or ''
end

-- How much earlier than it may start a job is called: not where a burst covers the way.
local function lead_of(want)
  local lead = math.floor(patience / 2)
  if want[WANT_KIND] == 'sliding_window' then return lead end
  if not is_level(want[WANT_KIND]) then return 0 end
  return math.max(0, lead - math.floor((want[WANT_BURST] - want[WANT_COST]) * want[WANT_PER] / want[WANT_LIMIT]))
end

local function room_of_log(want, at)
  local name = window_name(want[WANT_KEY])
  return want[WANT_LIMIT] - redis.call('ZLEXCOUNT', starts, '(' .. name .. SEP .. string.format('%013d', at - want[WANT_PER]) .. '\32', last_of(name))
end

-- Units that may be taken now, or that one who comes at once may wait for.
local function room_soon(want)
  local kind, lead = want[WANT_KIND], lead_of(want)
  local room, at = room_and_time(want)
  if kind == 'concurrency' then
    if patience > 0 then room = room + math.max(0, places_to_stand(want)) * want[WANT_COST] end
  elseif lead > 0 and kind == 'sliding_window' then
    room = room_of_log(want, now + lead + TOGETHER_MS)
  elseif lead > 0 then
    local soon = (lead + TOGETHER_MS) * 1000 * want[WANT_LIMIT] - level_of(want)
    room = math.floor(want[WANT_BURST] + soon / (want[WANT_PER] * 1000))
  end
  return room, at
end

-- Others by themselves wait for the same counter: each has a time of its own.
local function time_behind(want, ahead)
  local key, kind, per, limit = want[WANT_KEY], want[WANT_KIND], want[WANT_PER], want[WANT_LIMIT]
  local units = want[WANT_COST] * (ahead + 1)
  if kind == 'fixed_window' then
    return (math.floor(now / per) + math.max(1, math.ceil((units - limit + used_in_window(want)) / limit))) * per
  elseif kind == 'sliding_window' then
    local last = (units - 1) % limit + 1
    return rate_free_at(window_name(key), limit - last + 1, per) + math.floor((units - 1) / limit) * per
  end
  return now + math.ceil(((units - want[WANT_BURST]) * per * 1000 + level_of(want)) / limit / 1000)
end

-- When a scope goes on, and with how many jobs.
local function next_drips(want, at)
  local kind, cost, lead = want[WANT_KIND], want[WANT_COST], lead_of(want)
  local early = math.max(now + 1, at - lead)
  if kind == 'fixed_window' then return at, math.max(1, math.min(MOST_AT_ONCE, math.floor(want[WANT_LIMIT] / cost))) end
  if kind == 'sliding_window' then
    local n = math.max(1, math.min(MOST_AT_ONCE, math.floor(room_of_log(want, at + TOGETHER_MS) / cost)))
    return lead > 0 and early or at + TOGETHER_MS, n
  end
  if not is_level(kind) then return at, 1 end
  local per, limit, level = want[WANT_PER], want[WANT_LIMIT], level_of(want)
  if lead > 0 then return early, math.min(MOST_AT_ONCE, 1 + math.floor(TOGETHER_MS * limit / (per * cost))) end
  -- Several tokens together where there is room for them: nothing is lost by coming a moment later.
  local full = now + math.ceil(level / limit / 1000)
  at = math.max(at, math.min(at + TOGETHER_MS, full))
  local free = want[WANT_BURST] * per * 1000 - math.max(0, level - (at - now) * 1000 * limit)
  return at, math.max(1, math.min(MOST_AT_ONCE, math.floor(free / (cost * per * 1000))))
end

local function drips_at(scope)
  local packed = scope ~= '' and redis.call('HGET', rests, scope)
  local rest = packed and cmsgpack.unpack(packed)
  return rest and rest[3] and rest
end

local function place_of_scope(key, scope, rest)
  local name = 'w' .. SEP .. key .. SEP
  if rest and rest[5] and string.sub(rest[5], 1, #name) == name and redis.call('ZSCORE', limited, rest[5]) then return rest[5] end
  return waiting_for(key, now_us, id, scope)
end

local function refuse(want, at)
  local key, scope = want[WANT_KEY], scope_of_want(want)
  local n, rest = 1, drips_at(scope)
  forget_waiters(key, 3)
  local place
  if scope == '' then
    place = waiting_for(key, record[PLACE], id, '')
    if at < math.huge and want[WANT_KIND] ~= 'breaker' then
      local name = 'w' .. SEP .. key
      at = math.max(at, time_behind(want, redis.call('ZLEXCOUNT', limited, first_of(name), '(' .. place)))
      at = math.max(now + 1, at - lead_of(want))
    end
  else
    place = place_of_scope(key, scope, rest)
    if at < math.huge then at, n = next_drips(want, at) end
    if rest then
      rest[4] = math.max(0, rest[4] - 1)
      redis.call('HSET', rests, scope, cmsgpack.pack(rest))
    end
  end
  if at == math.huge then at = now + RECHECK_MS end
  redis.call('ZADD', limited, 0, place)
  remember_counter(want, math.max(at, now + PERMITS_KEPT_MS))
  holding.refused = { at = at, n = n, scope = scope, place = place }
  save_holding(id, holding)
  return { 0, math.max(1, at - now), key, want[WANT_WAITS], 0, 0, 0 }
end

-- A scope that rests in drips goes on: with as many jobs as may follow, or when the next one may.
local function go_on(scope)
  local rest = drips_at(scope)
  if not rest then return 0 end
  rest[4] = math.max(0, rest[4] - 1)
  local n, at, scarce = MOST_AT_ONCE, now, nil
  for _, want in ipairs(all) do
    if scope_of_want(want) == scope then
      local room, free_at = room_soon(want)
      n = math.min(n, math.floor(room / want[WANT_COST]))
      if free_at > at then at, scarce = free_at, want end
    end
  end
  if n - rest[4] > 0 then
    rest[1], rest[3] = 0, n - rest[4]
    redis.call('ZADD', timers, now + DRIPS_KEPT_MS, 'S' .. scope)
    redis.call('HSET', rests, scope, cmsgpack.pack(rest))
    wake_what_rests(scope)
    return 1
  end
  if scarce and (rest[4] == 0 or at == math.huge) then
    local drips = 1
    if at == math.huge then
      rest[5] = place_of_scope(scarce[WANT_KEY], scope, rest)
      redis.call('ZADD', limited, 0, rest[5])
      at = now + RECHECK_MS
    else
      at, drips = next_drips(scarce, at)
    end
    rest[1], rest[3] = at, drips
    redis.call('ZADD', timers, at, 'S' .. scope)
  elseif rest[1] == 0 then
    rest[1], rest[3] = now + ANSWER_MS, 1 -- others were started and have not asked yet
    redis.call('ZADD', timers, rest[1], 'S' .. scope)
  end
  redis.call('HSET', rests, scope, cmsgpack.pack(rest))
  put_to_rest(scope, rest[1])
  return 1
end

local function go_on_all()
  local look_again, seen = 0, { [''] = true }
  for _, want in ipairs(all) do
    local scope = scope_of_want(want)
    if not seen[scope] then
      seen[scope] = true
      look_again = math.max(look_again, go_on(scope))
    end
  end
  return look_again
end

local worst, worst_at, lacking, wait_us, own = nil, now, 0, 0, nil
for _, want in ipairs(all) do
  as_it_holds(want)
  local room, at = room_and_time(want)
  if room < want[WANT_COST] then
    lacking = lacking + 1
    if want[WANT_KIND] == 'concurrency' and want[WANT_LIMIT] - permits_held(holding, want[WANT_KEY]) < want[WANT_COST] then own = want end
    if not worst or at > worst_at then worst, worst_at = want, at end
    if want[WANT_KIND] == 'sliding_window' then
      wait_us = math.max(wait_us, (at - now) * 1000)
    else
      wait_us = math.max(wait_us, is_level(want[WANT_KIND]) and level_wait(want) or math.huge)
    end
  end
end

-- What will be there soon can be taken now, but not of a window that has not begun.
local function is_soon()
  if wait_us > patience * 1000 then return false end
  for _, want in ipairs(all) do
    local per = want[WANT_PER]
    if want[WANT_KIND] == 'fixed_window' and math.floor((now + wait_us / 1000) / per) > math.floor(now / per) then return false end
  end
  return true
end

if own then return { -2, 0, own[WANT_KEY], '', 0, 0, 0 } end
if worst and not is_soon() then
  local answer
  if patience > 0 and lacking == 1 and places_to_stand(worst) > 0 and not keeps_the_last_place(record, worst) then
    local place = 's' .. SEP .. worst[WANT_KEY] .. SEP .. string.format('%014x', now_us) .. SEP .. id
    redis.call('ZADD', limited, 0, place)
    holding.standing = { place = place, wants = all, request = request, list = list }
    save_holding(id, holding)
    answer = { 2, stands_for(worst), worst[WANT_KEY], '', 0, go_on_all(), 1 }
  else
    answer = refuse(worst, worst_at)
  end
  write_counts()
  return answer
end

local probe, brief = 0, 0
for _, want in ipairs(all) do
  if is_brief(want) then brief = 1 end
  if want[WANT_KIND] ~= 'breaker' then
    table.insert(holding.taken, take(want, id, token, request, wait_us))
  elseif breaker_of(meter_of(want[WANT_KEY])) == HALF_OPEN then
    table.insert(holding.taken, take(want, id, token, request, 0))
    probe, holding.probe = 1, true
  end
  redis.call('ZREM', limited, waiting_for(want[WANT_KEY], record[PLACE], id, ''))
end
holding.request, holding.refused = request, nil
if #holding.taken > 0 or request > 0 or stood then save_holding(id, holding) end
local look_again = go_on_all()
if patience > 0 then
  for _, want in ipairs(all) do call_to_stand(want) end
end
write_counts()
local answer = { 1, wait_us, '', '', probe, look_again, brief }
for queue in pairs(woken) do answer[#answer + 1] = queue end
return answer
