-- Which job of a queue goes next: bands by priority with a bound on starvation, in a band the line with the
-- lowest virtual time, in a line the first by priority and place.
local UNIT = 1000000
local NO_LESS_THAN_ONE_IN = 20
local any_rest, any_crowd = nil, nil
local band_times, alone = {}, {}

local NO_RATES = {}

-- None left: the line rests until a place is free.
local function under_cap(line, name, left)
  if left > 0 then return left end
  rest_line(line, tonumber(redis.call('HGET', lines, line)))
  sleep_for(name, 'L' .. line)
  return 0
end

local function under_rate(line, name, rate, logged)
  local left = rate_left(name, rate[1], rate[2])
  if left > 0 then
    logged[name] = rate[2]
    return left
  end
  rest_line(line, tonumber(redis.call('HGET', lines, line)))
  redis.call('ZADD', timers, rate_free_at(name, rate[1], rate[2]), 'L' .. line)
  return 0
end

-- How many jobs of an awake line may start now; when none, the line is put to rest.
local function may_start(queue, line, rules, lane, gate)
  local mine = rules_of_lane(queue, lane)
  local most = math.huge
  if mine.paused then
    rest_line(line, tonumber(redis.call('HGET', lines, line)))
    sleep_for('p' .. SEP .. queue .. SEP .. lane, 'L' .. line)
    return 0
  end
  if any_rest == nil then any_rest = redis.call('HLEN', rests) > 0 end
  if any_rest then
    local scope, wake_at = queue .. SEP .. lane, 0
    for _, rest in pairs(redis.call('HMGET', rests, scope, gate == '' and scope or scope .. SEP .. gate)) do
      if rest then wake_at = math.max(wake_at, cmsgpack.unpack(rest)[1]) end
    end
    if wake_at > now then
      rest_line(line, tonumber(redis.call('HGET', lines, line)))
      redis.call('ZADD', timers, wake_at, 'L' .. line)
      return 0
    end
  end
  local lane_cap = cap_in(mine, 'cap') or (not mine.cap and cap_in(rules, 'lane_cap')) or nil
  local lane_rate = rate_in(mine, 'rate') or (mine.rate == nil and rate_in(rules, 'lane_rate')) or nil
  local gate_cap, gate_rate = nil, nil
  if gate ~= '' then
    gate_cap = string.sub(gate, 1, 4) == 'one:' and 1 or cap_in(rules, 'gate_cap')
    gate_rate = rate_in(rules, 'gate_rate')
  end
  if not (lane_cap or lane_rate or gate_cap or gate_rate) then return most, NO_RATES, mine.weight end
  local logged = {}
  if lane_cap then
    most = under_cap(line, lane_limit(queue, lane), lane_cap - running_in_lane(queue, lane))
  end
  if most > 0 and gate_cap then
    local name = gate_limit(lane, gate)
    most = math.min(most, under_cap(line, name, gate_cap - running_under(name)))
  end
  if most > 0 and lane_rate then
    most = math.min(most, under_rate(line, lane_limit(queue, lane), lane_rate, logged))
  end
  if most > 0 and gate_rate then
    most = math.min(most, under_rate(line, gate_limit(lane, gate), gate_rate, logged))
  end
  return most, logged, mine.weight
end

local function sharers(line, gate)
  if any_crowd == nil then any_crowd = redis.call('HLEN', crowd) > 0 end
  if not any_crowd then return 1 end
  local plain = string.match(line, '^[^\30]*')
  local gates = tonumber(redis.call('HGET', crowd, plain) or 0)
  if gates == 0 then return 1 end
  if gate == '' then return gates + 1 end
  return gates + (is_awake(tonumber(redis.call('HGET', lines, plain) or 0)) and 1 or 0)
end

-- Cost 1 is one job, or 100 ms of the lane's usual run time where the queue is fair in time.
local function cost_of(record)
  local ms = tonumber(redis.call('HGET', costs, record[QUEUE] .. SEP .. record[LANE] .. SEP .. record[ACTOR]) or 100)
  return math.min(36000, math.max(0.01, ms / 100))
end

-- How often a line may go before the one behind it is first.
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

-- The bands of a queue with an awake line, first one first.
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

-- Start up to `most` jobs of one line; returns how many.
local function serve_line(queue, band, head, other, most, rules, logged, weight, share_rates)
  local line = band .. SEP .. head.name
  local gate = gate_of(line)
  local n = sharers(line, gate)
  local in_time = rules.time
  local flat = math.max(1, math.floor(UNIT * n / weight + 0.5))
  local take = most
  if other then take = in_time and 1 or math.min(most, turns_before(head.vt, head.name, flat, other)) end
  local members = redis.call('ZRANGEBYLEX', waiting, first_of(line), last_of(line), 'LIMIT', 0, take)
  local ids = {}
  for i, member in ipairs(members) do ids[i] = id_of(member) end
  local creations, packed = redis.call('HMGET', jobs, unpack(ids)), redis.call('HMGET', meta, unpack(ids))
  if next(share_rates) then
    local all = {}
    for name, per_ms in pairs(logged) do all[name] = per_ms end
    for name, per_ms in pairs(share_rates) do all[name] = per_ms end
    logged = all
  end
  local vt, start, started, unreadable = head.vt, head.vt, 0, false
  for i, id in ipairs(ids) do
    local record = record_from(packed[i], creations[i])
    if record and creations[i] then
      local charge = flat
      if in_time then charge = math.max(1, math.floor(UNIT * cost_of(record) * n / weight + 0.5)) end
      give(record, id, creations[i], charge, rules.share or '', logged)
      start, vt, started = vt, vt + charge, started + 1
    else
      set_aside(id, queue)
      unreadable = true
    end
  end
  redis.call('ZREM', waiting, unpack(members))
  local left = redis.call('HINCRBY', lines, line, -#members)
  if unreadable then
    -- It may never have been counted, and the jobs behind it must not be forgotten.
    left = redis.call('ZLEXCOUNT', waiting, first_of(line), last_of(line))
    redis.call('HSET', lines, line, left)
  end
  redis.call('ZREM', order, order_place(band, head.vt, head.name))
  if started > 0 then
    band_times[band] = math.max(start, band_times[band] or tonumber(redis.call('HGET', clocks, band) or 0))
    redis.call('HSET', clocks, line, string.format('%.0f', vt), band, string.format('%.0f', band_times[band]))
  end
  if left > 0 then
    redis.call('ZADD', order, 0, order_place(band, vt, head.name))
  else
    redis.call('HDEL', lines, line)
    crowd_change(line, -1)
  end
  return started
end

-- The band whose turn it is, and how many starts it may have before another one's turn comes.
local function choose_band(queue, bands)
  if #bands == 1 then
    if not alone[queue] then redis.call('HDEL', turns, queue) end
    alone[queue] = true
    return bands[1], math.huge
  end
  alone[queue] = nil
  local stored = redis.call('HGET', turns, queue)
  local state = stored and cmsgpack.unpack(stored) or { 0, {} }
  local n, last, present = state[1], state[2], {}
  for _, band in ipairs(bands) do
    local number = string.sub(band, -2)
    present[number] = last[number] or n
  end
  local bound = math.max(1, NO_LESS_THAN_ONE_IN - (#bands - 1))
  local chosen, oldest, room = bands[1], nil, math.huge
  for i = 2, #bands do
    local since = present[string.sub(bands[i], -2)]
    room = math.min(room, bound - (n - since))
    if n - since >= bound and (not oldest or since < oldest) then chosen, oldest = bands[i], since end
  end
  return chosen, oldest and 1 or math.max(1, room), { n, present }
end

local function note_band(queue, band, state, started)
  if not state then return end
  state[1] = state[1] + started
  state[2][string.sub(band, -2)] = state[1]
  redis.call('HSET', turns, queue, cmsgpack.pack(state))
end

-- Start up to `most` jobs of a queue; returns how many.
local function serve_queue(queue, most, rules, share_rates)
  local started = 0
  local bands = awake_bands(queue)
  while started < most and #bands > 0 do
    local band, room, state = choose_band(queue, bands)
    local heads = redis.call('ZRANGEBYLEX', order, first_of(band), last_of(band), 'LIMIT', 0, 2)
    local head, other = parse_order(heads[1]), heads[2] and parse_order(heads[2])
    if not head or (heads[2] and not other) then
      redis.call('ZREM', order, head and heads[2] or heads[1]) -- it is nothing of ours
      return started
    end
    local line = band .. SEP .. head.name
    local allowed, logged, weight = may_start(queue, line, rules, lane_of(line), gate_of(line))
    local served = 0
    if allowed > 0 then
      served = serve_line(queue, band, head, other, math.min(most - started, room, allowed), rules, logged, weight, share_rates)
      started = started + served
      note_band(queue, band, state, served)
    end
    if not other or served == 0 then bands = awake_bands(queue) end
  end
  return started
end
