-- PURPOSE: Promote what is due, then lease waiting jobs that may run to a worker process. Spends an attempt each.
-- KEYS: jobs, meta, outcomes, waiting, apart, lines, order, clocks, crowd, ready, turns, timers, rests, asleep, running, starts, policies, unique, costs, delayed, clock, held, leases, workers, requests, idle, completed, failed, cancelled, dead, tally, totals, expiries, events, backlog
-- ARGV: owner, request, credits, ahead, busy, lease_ms, shares
-- RETURNS: now, the time to look again or -1, the queues with jobs left over, 1 when a suspect waits for this process to be empty, a queue to wake another process for (or empty), then id, record, payload of each job
-- EVENTS: `failed` for a job whose record cannot be read; any other attempt's event is appended when it ends
-- OOM: allowed
-- INCLUDE: clock, places, counts, rules, serving, record, give, limits, news, lines, due, watch, standing, settlement, unique, resting
-- `shares` is " queue=most" for each queue of the process. `request` makes a repeated fetch return the jobs
-- of the first. `ahead` credits count only while no other process is idle.
local IDLE_MS = 5000
local TURN_MS = 30000
local COURTESY_MS = 250

promote_due()
ring_timers()
redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
redis.call('HSET', workers, '', now)

local last = redis.call('HGET', requests, owner)
last = last and cmsgpack.unpack(last) or { '', {}, {} }
local passed, candidates = last[3], {}
local left = tonumber(credits)

local function room_of(queue)
  local _, at = string.find(shares, ' ' .. queue .. '=', 1, true)
  return at and tonumber(string.match(shares, '^%d+', at + 1)) or 0
end

-- Under caps and rates of the queue and of those it shares them with: how many may start, the rates that
-- log each start, and where the queue sleeps when none may.
local function queue_allows(queue, rules)
  local most, logged = math.huge, {}
  local name = rules.share and share_limit(rules.share) or queue_limit(queue)
  local cap, rate = cap_in(rules, 'cap'), rate_in(rules, 'rate')
  if cap then
    most = cap - (rules.share and running_under(name) or running_in_queue(queue))
    if most <= 0 then return 0, logged, name end
  end
  if rate then
    local free = rate_left(name, rate[1], rate[2])
    if free <= 0 then return 0, logged, nil, rate_free_at(name, rate[1], rate[2]) end
    most = math.min(most, free)
    logged[name] = rate[2]
  end
  return most, logged
end

local function put_queue_to_sleep(queue, name, until_ms)
  redis.call('ZREM', ready, queue)
  if name then sleep_for(name, 'Q' .. queue) else redis.call('ZADD', timers, until_ms, 'Q' .. queue) end
end

-- A suspect lost a lease before: it may be what kills processes, so it runs where nothing else does.
local function find_suspect()
  local found
  for queue in string.gmatch(shares, ' (.-)=%d+') do
    local scope = queue .. SEP .. 's'
    local member = redis.call('ZRANGEBYLEX', apart, first_of(scope), last_of(scope), 'LIMIT', 0, 1)[1]
    if member and redis.call('HEXISTS', policies, 'p' .. SEP .. queue) == 0 then
      local rest = redis.call('HGET', rests, queue)
      local place = string.sub(member, #scope + 2, #scope + 14)
      if not (rest and cmsgpack.unpack(rest)[1] > now) and (not found or place < found.place) then
        found = { queue = queue, place = place, member = member }
      end
    end
  end
  return found
end

local function give_suspect(found)
  local id = id_of(found.member)
  local creation, record = redis.call('HGET', jobs, id), load_record(id)
  redis.call('ZREM', apart, found.member)
  if record and creation then
    count_job(record, 'apart', -1)
    local rules = rules_of(found.queue)
    local _, logged = queue_allows(found.queue, rules)
    give(record, id, creation, 0, rules.share or '', logged)
  else
    set_aside(id, found.queue)
  end
end

-- True when suspects have the word: nothing else is given.
local function tend_suspects()
  if redis.call('ZCARD', apart) == 0 then return false end
  local found = find_suspect()
  local turn = redis.call('HGET', turns, SEP)
  turn = turn and cmsgpack.unpack(turn) or { '', 0, '' }
  if not found then
    -- Those that wait are of queues that this process does not serve: whoever does shall not wait for it.
    if turn[1] == owner then redis.call('HDEL', turns, SEP) end
    return false
  end
  local fresh = turn[2] > now - TURN_MS
  if turn[1] ~= '' and turn[1] ~= owner and fresh then return false end
  if busy == '1' then
    if turn[1] == owner and not fresh then
      -- It had its time to become empty: now another process may try, and this one not for a while.
      redis.call('HSET', turns, SEP, cmsgpack.pack({ '', now, owner }))
      return false
    elseif turn[1] == '' and turn[3] == owner and fresh then
      return false
    elseif turn[1] ~= owner then
      redis.call('HSET', turns, SEP, cmsgpack.pack({ owner, now }))
    end
    reply[4] = 1
  else
    redis.call('HSET', turns, SEP, cmsgpack.pack({ owner, now }))
    give_suspect(found)
  end
  return true
end

local function somebody_idle()
  redis.call('ZREM', idle, owner)
  return redis.call('ZCOUNT', idle, now, '+inf') > 0
end

local function start_queue(candidate, most)
  local allowed, logged, name, until_ms = queue_allows(candidate.queue, candidate.rules)
  local n = math.min(candidate.room, left, most, allowed)
  if allowed <= 0 then
    put_queue_to_sleep(candidate.queue, name, until_ms)
    return 0
  end
  local started = serve_queue(candidate.queue, n, candidate.rules, logged)
  candidate.room = candidate.room - started
  left = left - started
  if started > 0 then candidate.served = true end
  if started < n then leave_ready_when_idle(candidate.queue) end
  -- A queue that gave all it might under its cap or rate may still be asked by others: they find out.
  return started, n
end

local function serve_candidates()
  table.sort(candidates, function(a, b)
    if a.rules.priority ~= b.rules.priority then return a.rules.priority < b.rules.priority end
    return a.position < b.position
  end)
  while left > 0 and #candidates > 0 do
    local class, lower = candidates[1].rules.priority, 0
    for _, c in ipairs(candidates) do
      if c.rules.priority > class then lower = lower + 1 end
    end
    local bound = math.max(1, NO_LESS_THAN_ONE_IN - lower)
    local index, most = 1, math.huge
    local longest = -1
    for i, c in ipairs(candidates) do
      if c.rules.priority > class then
        local waited = passed[c.queue] or 0
        most = math.min(most, math.max(1, bound - waited))
        if waited >= bound and waited > longest then index, longest = i, waited end
      end
    end
    if longest >= 0 then most = 1 end
    local chosen = candidates[index]
    local started, wanted = start_queue(chosen, most)
    for i, c in ipairs(candidates) do
      if i ~= index and c.rules.priority > class then passed[c.queue] = (passed[c.queue] or 0) + started end
    end
    passed[chosen.queue] = nil
    if started == 0 or chosen.room <= 0 or started < wanted then table.remove(candidates, index) end
  end
end

local function fetch_new()
  if left > 0 and tend_suspects() then return end
  if tonumber(ahead) > 0 and not somebody_idle() then left = left + tonumber(ahead) end
  local asked = {}
  for position, queue in ipairs(redis.call('ZRANGE', ready, 0, -1)) do
    local room = room_of(queue)
    if room > 0 then
      candidates[#candidates + 1] = { queue = queue, room = room, position = position, rules = rules_of(queue) }
      asked[#asked + 1] = candidates[#candidates]
    end
  end
  local still = {}
  for _, c in ipairs(candidates) do still[c.queue] = passed[c.queue] end
  passed = still
  serve_candidates()
  for _, c in ipairs(asked) do
    if c.served then redis.call('ZADD', ready, 'XX', now_us, c.queue) end
    touched[c.queue] = true
  end
end

if last[1] == request then
  for _, id in ipairs(last[2]) do
    local record = load_record(id)
    if record and record[STATE] == 'active' and record[OWNER] == owner then
      local n = #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = id, cmsgpack.pack(record), payload_of(redis.call('HGET', jobs, id))
    end
  end
else
  if left > 0 or tonumber(ahead) > 0 then fetch_new() end
  write_gifts()
  redis.call('HSET', requests, owner, cmsgpack.pack({ request, given, passed }))
  if #given == 0 and tonumber(credits) > 0 then
    redis.call('ZADD', idle, now + IDLE_MS, owner)
  else
    redis.call('ZREM', idle, owner)
  end
end

write_counts()
for queue in pairs(touched) do
  if redis.call('ZSCORE', ready, queue) then
    local rules = rules_of(queue)
    if queue_allows(queue, rules) > 0 and redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then
      table.insert(reply[3], queue)
    else
      leave_ready_when_idle(queue)
    end
  end
end
local next_at, soonest = next_timer()
if next_at then reply[2] = next_at end

-- One process watches the timers, so that not the whole fleet wakes at once; the others trust it for a while.
local function share_the_watch()
  local watch = redis.call('HGET', turns, WATCH)
  watch = watch and cmsgpack.unpack(watch) or { '', 0, 0 }
  if tonumber(credits) > #given then
    if watch[4] == owner and watch[5] > now then
      reply[2] = reply[2] + COURTESY_MS -- it does not know what comes next: whoever does shall be first
    elseif watch[1] ~= owner and watch[2] > now and watch[3] <= reply[2] then
      reply[2] = reply[2] + IDLE_MS
    else
      redis.call('HSET', turns, WATCH, cmsgpack.pack({ owner, now + IDLE_MS, reply[2] }))
    end
  elseif watch[1] == owner then
    -- It has no thread left to start a job with: whoever takes the offer watches.
    redis.call('HDEL', turns, WATCH)
    reply[5] = soonest
  end
end
if soonest and last[1] ~= request then share_the_watch() end
publish_news()
return reply
