-- Which job of a queue goes next: bands by priority with a bound on starvation, in a band the lane with the
-- lowest virtual time, of a lane's gates the one whose turn it is, in a line the first by priority and place,
-- again with a bound on starvation.
local UNIT = 1000000
local NO_LESS_THAN_ONE_IN = 20
-- Of lanes and gates that may not run a fetch meets so many, and some more of each further queue; the next goes on.
local MET_AT_MOST = 100
local MET_AT_LEAST = 10
local any_rest, any_gates, in_vain = nil, nil, 0
local met = nil -- the place in the order of the lane that is looked at
local band_times, alone = {}, {}

local NO_RATES = {}

local function rest_until(line, until_ms)
  rest_line(line)
  redis.call('ZADD', timers, until_ms, 'L' .. line)
  return 0
end

-- Scopes that rest in drips: so many may start, and then none before these have asked for what they want.
local drips = nil

local function spend_drips(served)
  for scope, rest in pairs(drips) do
    rest[3], rest[4] = rest[3] - served, rest[4] + served
    if rest[3] <= 0 then
      rest[1], rest[3] = now + ANSWER_MS, 1
      redis.call('ZADD', timers, rest[1], 'S' .. scope)
    end
    redis.call('HSET', rests, scope, cmsgpack.pack(rest))
    if rest[1] > 0 then put_to_rest(scope, rest[1]) end
  end
  drips = nil
end

local function drips_of(scope)
  if any_rest == nil then any_rest = redis.call('HLEN', rests) > 0 end
  local packed = any_rest and redis.call('HGET', rests, scope)
  local rest = packed and cmsgpack.unpack(packed)
  if rest and rest[1] > now then return 0 end
  if not rest or not rest[3] or rest[1] > 0 then return math.huge end
  drips = drips or {}
  drips[scope] = rest
  return rest[3]
end

-- How many may start under a cap, a rate and the rest of a scope; when none, the line is put to rest.
local function under_limits(line, scope, name, cap, rate)
  if any_rest == nil then any_rest = redis.call('HLEN', rests) > 0 end
  local rest = any_rest and redis.call('HGET', rests, scope)
  if rest and cmsgpack.unpack(rest)[1] > now then return rest_until(line, cmsgpack.unpack(rest)[1]) end
  local most, logged = drips_of(scope), NO_RATES
  if cap then
    most = math.min(most, cap - (gate_of(line) == '' and running_in_lane(queue_of(line), lane_of(line)) or running_under(name)))
    if most <= 0 then
      rest_line(line)
      sleep_for(name, 'L' .. line)
      return 0
    end
    local kept = cap == 1 and kept_until(name)
    if kept then return rest_until(line, kept) end
  end
  if rate then
    local free = rate_left(name, rate[1], rate[2])
    if free <= 0 then return rest_until(line, rate_free_at(name, rate[1], rate[2])) end
    most, logged = math.min(most, free), { [name] = rate[2] }
  end
  return most, logged
end

local function lane_allows(queue, lane, rules, mine)
  local name = lane_of(lane)
  if mine.paused then
    rest_line(lane)
    sleep_for('p' .. SEP .. queue .. SEP .. name, 'L' .. lane)
    return 0
  end
  local cap = cap_in(mine, 'cap') or (not mine.cap and cap_in(rules, 'lane_cap')) or nil
  local rate = rate_in(mine, 'rate') or (mine.rate == nil and rate_in(rules, 'lane_rate')) or nil
  return under_limits(lane, queue .. SEP .. name, lane_limit(queue, name), cap, rate)
end

local function gate_allows(queue, line, rules)
  local name, gate = lane_of(line), gate_of(line)
  if gate == '' then return math.huge, NO_RATES end
  local cap = string.sub(gate, 1, 4) == 'one:' and 1 or cap_in(rules, 'gate_cap')
  local scope = queue .. SEP .. name .. SEP .. gate
  return under_limits(line, scope, gate_limit(name, gate), cap, rate_in(rules, 'gate_rate'))
end

-- The line of a lane whose turn it is; and its place among the gates, with whether another one waits for its turn.
local function choose_line(lane)
  if any_gates == nil then any_gates = redis.call('ZCARD', gates) > 0 end
  if not any_gates then return lane end
  local from, to = turns_of(lane)
  local line, place
  for _, member in ipairs(redis.call('ZRANGEBYLEX', gates, from, to, 'LIMIT', 0, 3)) do
    local gate = string.sub(member, #lane + 17)
    if gate ~= '' or redis.call('ZRANGEBYLEX', waiting, first_of(lane), last_of(lane), 'LIMIT', 0, 1)[1] then
      if line then return line, place, true end
      line, place = gate == '' and lane or lane .. GATE_MARK .. gate, member
    end
  end
  return line or lane, place, false
end

-- A line of a lane with gates had so many starts: its next turn is after all others'. The last job closes a gate.
local function take_turns(line, place, served)
  local lane, gate = whole_lane(line), gate_of(line)
  if gate ~= '' then
    if redis.call('HINCRBY', lines, line, -served) <= 0 then
      redis.call('HDEL', lines, line)
      close_gate(line)
      return
    end
  end
  local turn = last_turn(lane) + served
  redis.call('ZREM', gates, place)
  redis.call('ZADD', gates, 0, gate_place(lane, turn, gate))
  if gate ~= '' then redis.call('HSET', clocks, line, turn) end
end

-- Cost 1 is one job, or 100 ms of the lane's usual run time where the queue is fair in time.
local function cost_of(record)
  local ms = tonumber(redis.call('HGET', costs, record[QUEUE] .. SEP .. record[LANE] .. SEP .. record[ACTOR]) or 100) or 100
  return math.min(36000, math.max(0.01, ms / 100))
end

local function joint_rates(...)
  local all = NO_RATES
  for _, rates in ipairs({ ... }) do
    if next(rates) then
      if all == NO_RATES then all = {} end
      for name, per_ms in pairs(rates) do all[name] = per_ms end
    end
  end
  return all
end

-- How often a lane may go before the one behind it is first.
local function turns_before(vt, name, charge, other)
  local gap = other.vt - vt
  local goes = math.ceil(gap / charge)
  if gap % charge == 0 and name < other.name then goes = goes + 1 end
  return math.max(1, goes)
end

local function parse_order(member)
  local vt, name = string.match(member, '^.-\31..\31(%x+)\31(.*)$')
  return vt and { vt = tonumber(vt, 16), name = name }
end

-- The bands of a queue with an awake lane, first one first.
local function awake_bands(queue)
  local bands, from = {}, first_of(queue)
  while true do
    local member = redis.call('ZRANGEBYLEX', order, from, last_of(queue), 'LIMIT', 0, 1)[1]
    if not member then return bands end
    local band = string.sub(member, 1, #queue + 3)
    bands[#bands + 1] = band
    from = last_of(band)
  end
end

-- Of several kinds of jobs (`kinds`, best first) the one that goes on, for how many starts, and what to note then.
-- `field` of `turns` keeps the starts of each.
local function choose_kind(field, kinds)
  if #kinds == 1 then
    if not alone[field] then redis.call('HDEL', turns, field) end
    alone[field] = true
    return kinds[1], math.huge
  end
  alone[field] = nil
  local stored = redis.call('HGET', turns, field)
  local state = stored and cmsgpack.unpack(stored) or { 0, {} }
  local n, last, present = state[1], state[2], {}
  for _, kind in ipairs(kinds) do
    local number = string.sub(kind, -2)
    present[number] = last[number] or n
  end
  local bound = math.max(1, NO_LESS_THAN_ONE_IN - (#kinds - 1))
  local chosen, oldest, room = kinds[1], nil, math.huge
  for i = 2, #kinds do
    local since = present[string.sub(kinds[i], -2)]
    room = math.min(room, bound - (n - since))
    if n - since >= bound and (not oldest or since < oldest) then chosen, oldest = kinds[i], since end
  end
  return chosen, oldest and 1 or math.max(1, room), { n, present }
end

local function note_kind(field, kind, state, started)
  if not state then return end
  state[1] = state[1] + started
  state[2][string.sub(kind, -2)] = state[1]
  redis.call('HSET', turns, field, cmsgpack.pack(state))
end

-- The priorities of the jobs in a line of a queue whose tenants come before bands.
local function priorities_in(line)
  local found = {}
  local last = redis.call('ZREVRANGEBYLEX', waiting, last_of(line), first_of(line), 'LIMIT', 0, 1)[1]
  local from = first_of(line)
  while last do
    local member = redis.call('ZRANGEBYLEX', waiting, from, last_of(line), 'LIMIT', 0, 1)[1]
    local kind = string.sub(member, 1, #line + 3)
    found[#found + 1] = kind
    if kind == string.sub(last, 1, #line + 3) then break end
    from = '[' .. kind .. 'g'
  end
  return found
end

-- The first jobs of a line, at most so many; where it has several priorities also what to note when they start.
local function first_jobs(band, line, most)
  local from, to, kind, state = first_of(line), last_of(line), nil, nil
  if string.sub(band, -2) == '00' then
    local kinds, room = priorities_in(line), nil
    if #kinds > 0 then
      kind, room, state = choose_kind(line, kinds)
      from, to, most = '[' .. kind, '(' .. kind .. 'g', math.min(most, room)
    end
  end
  return redis.call('ZRANGEBYLEX', waiting, from, to, 'LIMIT', 0, most), kind, state
end

-- A lane or its gates do not hold what was counted: count anew. Returns how many jobs may pass its gates.
local function count_anew(lane)
  local total = redis.call('ZLEXCOUNT', waiting, first_of(lane), last_of(lane))
  local from, to = turns_of(lane)
  local open = 0
  redis.call('HDEL', turns, lane) -- only who was served last is lost with it
  for _, member in ipairs(redis.call('ZRANGEBYLEX', gates, from, to)) do
    local turn, gate = string.match(string.sub(member, #lane + 2), '^(%x+)\31(.*)$')
    local line = lane .. GATE_MARK .. (gate or '')
    local there = turn and gate ~= '' and redis.call('ZLEXCOUNT', waiting, first_of(line), last_of(line)) or 0
    if there > 0 then
      redis.call('HSET', lines, line, there)
      redis.call('HSET', clocks, line, tonumber(turn, 16))
      redis.call('HDEL', turns, line)
      total, open = total + there, open + 1
    elseif gate ~= '' then
      redis.call('ZREM', gates, member)
      redis.call('HDEL', lines, line)
      redis.call('HDEL', clocks, line)
    end
  end
  if open == 0 then redis.call('ZREMRANGEBYLEX', gates, from, to) end
  if total > 0 then redis.call('HSET', lines, lane, total) else redis.call('HDEL', lines, lane) end
  return total
end

-- Something is wrong with an awake lane: count its jobs anew, and let the others go before it.
local function mend_lane(place)
  local head, band = parse_order(place), string.match(place, '^(.-\31..)\31')
  local lane = band .. SEP .. head.name
  if (tonumber(redis.call('HGET', lines, lane)) or 0) >= RESTING then wake_line(lane) end
  local now_at = tonumber(redis.call('HGET', clocks, lane)) or head.vt
  redis.call('ZREM', order, place, order_place(band, now_at, head.name))
  if count_anew(lane) == 0 then return end
  local vt = math.max(head.vt, now_at, tonumber(redis.call('HGET', clocks, band)) or 0) + UNIT
  redis.call('HSET', clocks, lane, string.format('%.0f', vt))
  redis.call('ZADD', order, 0, order_place(band, vt, head.name))
end

-- Returns what the lane pays; `factor` where a job costs its usual run time.
local function give_for(record, id, creation, factor, charge, share, logged)
  if factor then charge = math.max(1, math.floor(UNIT * cost_of(record) * factor + 0.5)) end
  give(record, id, creation, charge, share, logged)
  return charge
end

-- Start up to `most` jobs of one line; returns how many. `place` is its turn among the gates of its lane.
local function serve_line(queue, band, head, other, line, place, most, rules, logged, weight)
  local lane = whole_lane(line)
  local in_time = rules.time
  local flat = math.max(1, math.floor(UNIT / weight + 0.5))
  local take = most
  if other then take = in_time and 1 or math.min(most, turns_before(head.vt, head.name, flat, other)) end
  local members, kind, state = first_jobs(band, line, take)
  if #members == 0 then
    mend_lane(order_place(band, head.vt, head.name)) -- it counts jobs that are not there
    return 0
  end
  local ids = {}
  for i, member in ipairs(members) do ids[i] = id_of(member) end
  local creations, packed = redis.call('HMGET', jobs, unpack(ids)), redis.call('HMGET', meta, unpack(ids))
  local vt, start, started, unreadable = head.vt, head.vt, 0, false
  for i, id in ipairs(ids) do
    local record = creations[i] and record_from(packed[i], creations[i])
    local fine, charge = false, flat
    local rightly = not record or stands_rightly(record, id)
    if record and rightly then fine, charge = pcall(give_for, record, id, creations[i], in_time and 1 / weight, flat, rules.share or '', logged) end
    if fine then
      start, vt, started = vt, vt + charge, started + 1
    else
      if rightly then set_aside(id, queue, head.name) end
      unreadable = true
    end
  end
  redis.call('ZREM', waiting, unpack(members))
  if kind then note_kind(line, kind, state, started) end
  if place then take_turns(line, place, #members) end
  local left = redis.call('HINCRBY', lines, lane, -#members)
  -- It may never have been counted, and the jobs behind it must not be forgotten.
  if unreadable then left = count_anew(lane) end
  redis.call('ZREM', order, order_place(band, head.vt, head.name))
  if started > 0 then
    band_times[band] = math.max(start, band_times[band] or tonumber(redis.call('HGET', clocks, band) or 0))
    redis.call('HSET', clocks, lane, string.format('%.0f', vt), band, string.format('%.0f', band_times[band]))
  end
  if left > 0 then
    redis.call('ZADD', order, 0, order_place(band, vt, head.name))
  else
    redis.call('HDEL', lines, lane)
  end
  return started
end

-- Start up to `most` jobs of a queue; returns how many. Where a cap or rate holds no more than `firm`: what is
-- held ahead of threads would take the place of a job that another process could start now.
local function serve_queue(queue, most, rules, share_rates, firm)
  local started, may_meet = 0, math.max(MET_AT_LEAST, MET_AT_MOST - in_vain)
  local bands = awake_bands(queue)
  while started < most and may_meet > 0 and #bands > 0 do
    local band, room, state = choose_kind(queue, bands)
    local heads = redis.call('ZRANGEBYLEX', order, first_of(band), last_of(band), 'LIMIT', 0, 2)
    local head, other = parse_order(heads[1]), heads[2] and parse_order(heads[2])
    met = head and heads[1]
    if not head or (heads[2] and not other) then
      redis.call('ZREM', order, head and heads[2] or heads[1]) -- it is nothing of ours
      return started
    end
    local lane = band .. SEP .. head.name
    local mine = rules_of_lane(queue, head.name)
    drips = nil
    local of_queue = drips_of(queue)
    if of_queue <= 0 then return started end
    local allowed, of_lane = lane_allows(queue, lane, rules, mine)
    local served = 0
    if allowed > 0 then
      local line, place, rival = choose_line(lane)
      local through, of_gate = gate_allows(queue, line, rules)
      if through > 0 then
        local logged = joint_rates(of_lane, of_gate, share_rates)
        local take = math.min(most - started, room, allowed, through, of_queue)
        if allowed < math.huge or through < math.huge or of_queue < math.huge then take = math.min(take, firm - started) end
        if take <= 0 then return started end
        if rival then take = 1 end
        served = serve_line(queue, band, head, other, line, place, take, rules, logged, mine.weight)
        started = started + served
        note_kind(queue, band, state, served)
        if drips then spend_drips(served) end
        if of_queue <= served then return started end
      end
    end
    if served == 0 then in_vain, may_meet = in_vain + 1, may_meet - 1 end
    if not other or served == 0 then bands = awake_bands(queue) end
  end
  return started
end
