-- PURPOSE: Promote what is due, then lease waiting jobs that may run to a worker process. Spends an attempt each.
-- KEYS: jobs, meta, outcomes, waiting, apart, lines, order, clocks, gates, ready, turns, timers, rests, asleep, running, starts, policies, unique, costs, delayed, clock, held, leases, workers, requests, idle, completed, failed, cancelled, dead, tally, totals, expiries, events, backlog
-- ARGV: owner, request, credits, ahead, busy, lease_ms, shares
-- RETURNS: now, the time to look again or -1, the queues with jobs left over, 1 when a suspect waits for this process to be empty, a queue to wake another process for (or empty), then id, record, payload of each job
-- EVENTS: `failed` for a job whose record cannot be read; any other attempt's event is appended when it ends
-- OOM: allowed
-- INCLUDE: clock, places, counts, rules, claims, serving, record, give, limits, news, trouble, due, watch, lines, standing, settlement, unique, resting, solitude, suspects, aside
-- `shares` is " queue=most" for each queue of the process. `request` makes a repeated fetch return the jobs
-- of the first. `ahead` credits count only while no other process is idle, and not where a cap or rate holds.
local IDLE_MS = 5000
local COURTESY_MS = 250
local IN_TROUBLE_MS = 1000

promote_due()
ring_timers()
redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
redis.call('HSET', workers, '', now)

local last = list_in(redis.call('HGET', requests, owner))
last = last and last[3] and last or { '', {}, {} }
local passed, candidates = last[3], {}
local left, extra = tonumber(credits), 0
local alone = false -- nothing more will be started here for a while

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
    local kept = cap == 1 and kept_until(name)
    if kept then return 0, logged, nil, kept end
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

local function give_suspect(found)
  local id = id_of(found.member)
  local creation, record = redis.call('HGET', jobs, id), load_record(id)
  if not record or not creation then return set_aside_apart(found.member) end
  if stands_rightly(record, id) then
    local share, rates = rules_of(found.queue).share or '', rates_of(record)
    if not pcall(give, record, id, creation, 0, share, rates) then return set_aside_apart(found.member) end
  end
  -- Last: what fails before leaves it where it is.
  redis.call('ZREM', apart, found.member)
  count_job(record, 'apart', -1)
end

local function somebody_idle()
  redis.call('ZREM', idle, owner)
  return redis.call('ZCOUNT', idle, now, '+inf') > 0
end

local function start_queue(candidate, most)
  local allowed, logged, name, until_ms = queue_allows(candidate.queue, candidate.rules)
  local n, firm = math.min(candidate.room, left, most, allowed), math.max(0, left - extra)
  if allowed < math.huge then n = math.min(n, firm) end
  if allowed <= 0 then
    put_queue_to_sleep(candidate.queue, name, until_ms)
    return 0
  end
  local started = serve_queue(candidate.queue, n, candidate.rules, logged, firm)
  candidate.room = candidate.room - started
  left = left - started
  if started > 0 then candidate.served = true end
  if started < n then leave_ready_when_idle(candidate.queue) end
  -- A queue that gave all it might under its cap or rate may still be asked by others: they find out.
  return started, n
end

-- Whatever is wrong with one queue, the others run, and what was given before stays given. The lane that was
-- looked at goes behind the others.
local function start_what_can(candidate, most)
  local before, queue = #given, candidate.queue
  met = nil
  local fine, started, wanted = tried('jobs of queue ' .. queue .. ' cannot be started', start_queue, candidate, most)
  if fine then return started, wanted end
  started = #given - before
  candidate.room, left = candidate.room - started, left - started
  if started > 0 then candidate.served = true end
  redis.call('HDEL', turns, queue) -- only who was served last is lost with it
  if met then tried('a lane of queue ' .. queue .. ' cannot be mended', mend_lane, met) end
  put_queue_to_sleep(queue, nil, now + IN_TROUBLE_MS)
  return started, math.huge
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
    local started, wanted = start_what_can(chosen, most)
    for i, c in ipairs(candidates) do
      if i ~= index and c.rules.priority > class then passed[c.queue] = (passed[c.queue] or 0) + started end
    end
    passed[chosen.queue] = nil
    if started == 0 or chosen.room <= 0 or started < wanted then table.remove(candidates, index) end
  end
end

local function fetch_new()
  if left > 0 and redis.call('ZCARD', apart) > 0 then
    local fine, suspect = tried('suspects cannot be looked at', tend_suspects)
    if fine and suspect == true then reply[4] = 1 end
    if fine and suspect and (suspect == true or tried('a suspect cannot be given', give_suspect, suspect)) then
      alone = true
      return
    end
    if fine and suspect then drop_turn_alone(owner) end
  end
  if tonumber(ahead) > 0 and not somebody_idle() then
    extra = tonumber(ahead)
    left = left + extra
  end
  local asked = {}
  for position, queue in ipairs(redis.call('ZRANGE', ready, 0, -1)) do
    local room = room_of(queue)
    if room > 0 then
      local fine, rules = tried('the rules of queue ' .. queue .. ' cannot be read', rules_of, queue)
      if fine then
        candidates[#candidates + 1] = { queue = queue, room = room, position = position, rules = rules }
        asked[#asked + 1] = candidates[#candidates]
      end
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
  if #given == 0 and tonumber(credits) > 0 and not alone then
    redis.call('ZADD', idle, now + IDLE_MS, owner)
  else
    redis.call('ZREM', idle, owner)
  end
end

write_counts()
local function tell_of_more(queue)
  if queue_allows(queue, rules_of(queue)) > 0 and redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then
    table.insert(reply[3], queue)
  else
    leave_ready_when_idle(queue)
  end
end

for queue in pairs(touched) do
  if redis.call('ZSCORE', ready, queue) then tried('queue ' .. queue .. ' cannot be looked at', tell_of_more, queue) end
end
local next_at, soonest = next_timer()
if next_at then reply[2] = next_at end

-- One process watches the timers, so that not the whole fleet wakes at once; the others trust it for a while.
local function share_the_watch()
  local watch = who_watches()
  if tonumber(credits) > #given and not alone then
    if watch[WATCH_NOT] == owner and watch[WATCH_NOT_UNTIL] > now then
      reply[2] = reply[2] + COURTESY_MS -- it does not know what comes next: whoever does shall be first
    elseif watch[WATCH_OWNER] ~= owner and watch[WATCH_TRUSTED] > now and watch[WATCH_DUE] <= reply[2] then
      reply[2] = reply[2] + IDLE_MS
    else
      redis.call('HSET', turns, WATCH, cmsgpack.pack({ owner, now + IDLE_MS, reply[2] }))
    end
  elseif watch[WATCH_OWNER] == owner then
    -- It has no thread left to start a job with, or may not: whoever takes the offer watches.
    redis.call('HDEL', turns, WATCH)
    reply[5] = soonest
  end
end
if soonest and last[1] ~= request then share_the_watch() end
publish_news()
return reply
