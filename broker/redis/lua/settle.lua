-- PURPOSE: Store how deliveries ended, with the jobs that follow from each and its event, in one step.
-- KEYS: jobs, meta, outcomes, progress, steps, logs, waiting, apart, lines, order, clocks, gates, ready, turns, timers, rests, asleep, meters, permits, limited, running, starts, policies, unique, costs, delayed, clock, held, completed, failed, cancelled, dead, markers, tally, totals, expiries, events, backlog, cache, cached
-- ARGV: owner, verdict...
-- RETURNS: for each verdict 1 (stored), 2 (this delivery was settled before) or 0 (the lease was lost); then the queues that have work: what slept for a place woke, or a job followed
-- EVENTS: one for each stored verdict but `returned` and `held`, `cancelled` where such a job was to be cancelled, `failed` for one whose record cannot be read
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, limits, settlement, news, removal, unique, notes, standing, lines, resting, solitude, watch, rules, aside, replace, acceptance, meters, permits, caching
-- Of a verdict the record and the progress may be false, letters empty (the job's own dead-letter queue), keep (how
-- many completed jobs stay in the queue) -1; remove: a completed job leaves at once. Jobs that follow, if any, are
-- three parts each, as enqueue takes them; the life of the result in ms comes before them, 0 for that of the job.
-- A verdict's parts, as broker/redis/records.py packs them.
local VERDICT_ID = 1
local VERDICT_TOKEN = 2
local VERDICT_OUTCOME = 3
local VERDICT_DELAY = 4
local VERDICT_RECORD = 5
local VERDICT_DETAIL = 6
local VERDICT_PROGRESS = 7
local VERDICT_LETTERS = 8
local VERDICT_KEEP = 9
local VERDICT_REMOVE = 10
local VERDICT_RESTS = 11
local VERDICT_REASON = 12
local VERDICT_RESULT_MS = 13
local VERDICT_FOLLOW = 14
local VERDICT_CACHE = 16
local VERDICT_UNSPENT = 15 -- it failed, or was held, before it started
local INTERRUPTED_NOT_BEFORE_MS = 2000
local MAX_INTERRUPTIONS = 10
local REMOVE_AT_ONCE = 100
local SMOOTH = 0.2
local COSTS_KEPT_MS = 604800000
local STRANGER_MS = 1000 -- after the job is due: the others, woken at that time, have asked for it by then
local answers, keeps, records, verdicts, ids = {}, {}, {}, {}, {}
local done, fair_in_time = {}, {} -- completed jobs with their scores; by queue

for i = first_verdict, #ARGV do
  local verdict = cmsgpack.unpack(ARGV[i])
  verdicts[#verdicts + 1], ids[#ids + 1] = verdict, verdict[VERDICT_ID]
end
if #ids == 0 then return {} end
for i, packed in ipairs(redis.call('HMGET', meta, unpack(ids))) do
  records[ids[i]] = records[ids[i]] or (packed and record_from(packed)) or nil
end

local function is_fair_in_time(queue)
  if fair_in_time[queue] == nil then fair_in_time[queue] = redis.call('HEXISTS', policies, 't' .. SEP .. queue) == 1 end
  return fair_in_time[queue]
end

local function learn_cost(record)
  local field = record[QUEUE] .. SEP .. record[LANE] .. SEP .. record[ACTOR]
  local took, old = now - record[STARTED], tonumber(redis.call('HGET', costs, field))
  redis.call('HSET', costs, field, string.format('%.3f', old and old + SMOOTH * (took - old) or took))
  redis.call('ZADD', expiries, now + COSTS_KEPT_MS, 'C' .. field)
end

-- Back where it was: nothing was spent.
local function undo_start(record, id)
  record[ATTEMPTS] = record[ATTEMPTS] - 1
  take_out_of_rates(record, id)
  refund(record)
  retake_unique(record, id)
end

-- Whoever hands back what it does not know must not be the one that watches for it: others would never meet it.
local function pass_on_the_watch(until_ms)
  local watcher = who_watches()[WATCH_OWNER]
  if watcher == '' or watcher == owner then
    redis.call('HSET', turns, WATCH, cmsgpack.pack({ '', 0, 0, owner, until_ms }))
  end
end

local function wait_again(record, id, verdict, outcome)
  local delay = verdict[VERDICT_DELAY]
  if outcome == 'returned' or outcome == 'held' then
    undo_start(record, id)
    if outcome == 'returned' and delay > 0 then pass_on_the_watch(now + delay + STRANGER_MS) end
  elseif outcome == 'interrupted' then
    record[ATTEMPTS] = record[ATTEMPTS] - 1
    record[INTERRUPTIONS] = record[INTERRUPTIONS] + 1
    delay = math.max(delay, INTERRUPTED_NOT_BEFORE_MS)
  end
  if outcome == 'interrupted' or (outcome == 'held' and not verdict[VERDICT_UNSPENT]) then record[BEGUN] = 1 end
  if outcome == 'held' then
    unspent[id] = nil -- it ran until it was held
    if wait_for_limit(record, id, verdict[VERDICT_REASON]) then return end
    if delay > 0 and verdict[VERDICT_RESTS] == 'job' then
      hold_apart(record, id, now + delay, verdict[VERDICT_REASON])
    else
      line_up(record, id)
      if delay > 0 then rest_scope(scope_of(record, verdict[VERDICT_RESTS]), now + delay, verdict[VERDICT_REASON]) end
    end
  elseif delay > 0 then
    postpone(record, id, now + delay)
  else
    if outcome ~= 'returned' then
      record[PLACE] = now_us + #answers
      record[READY] = now
    end
    line_up(record, id)
  end
end

local function settle_one(record, id, verdict)
  local outcome, attempt, token, owner_then = verdict[VERDICT_OUTCOME], record[ATTEMPTS], record[DELIVERIES], record[OWNER]
  local waited, started, told = record[READY], record[STARTED], verdict[VERDICT_OUTCOME]
  record[SETTLED] = token
  release(record, id)
  if record[LOST] > 0 then end_of_suspect(owner, id) end
  if verdict[VERDICT_RECORD] then
    redis.call('HSET', outcomes, id, verdict[VERDICT_RECORD])
    local life = verdict[VERDICT_RESULT_MS]
    if life and life > 0 and outcome == 'completed' then
      redis.call('ZADD', expiries, now + life, 'O' .. token .. SEP .. id)
    end
  elseif outcome == 'cancelled' then
    redis.call('HSET', outcomes, id, cancelled_outcome(record))
  elseif outcome == 'completed' and token > 1 then
    redis.call('HDEL', outcomes, id) -- the failure of an earlier attempt is no outcome of this one
  end
  if verdict[VERDICT_PROGRESS] then redis.call('HSET', progress, id, verdict[VERDICT_PROGRESS]) end
  if verdict[VERDICT_LETTERS] ~= '' then record[DEAD_LETTER] = verdict[VERDICT_LETTERS] end
  if verdict[VERDICT_UNSPENT] and outcome == 'failed' then
    attempt = attempt - 1
    record[ATTEMPTS] = attempt
    take_out_of_rates(record, id)
    refund(record)
  end
  if record[CHARGE] > 0 and is_fair_in_time(record[QUEUE]) and (outcome == 'completed' or outcome == 'failed' or outcome == 'retry' or outcome == 'cancelled') then
    learn_cost(record)
  end
  if outcome == 'retry' then redis.call('HINCRBY', totals, record[QUEUE] .. SEP .. 'retries', 1) end
  local goes_on = outcome == 'retry' or outcome == 'interrupted' or outcome == 'returned' or outcome == 'held'
  if goes_on and record[CANCEL] == 1 then
    if outcome == 'returned' or outcome == 'held' then
      undo_start(record, id)
      told = 'cancelled'
    end
    if not verdict[VERDICT_RECORD] then redis.call('HSET', outcomes, id, cancelled_outcome(record)) end
    finish(record, id, 'cancelled')
  elseif outcome == 'interrupted' and record[INTERRUPTIONS] + 1 >= MAX_INTERRUPTIONS then
    finish(record, id, 'failed')
  elseif goes_on then
    wait_again(record, id, verdict, outcome)
  elseif outcome == 'completed' and not verdict[VERDICT_REMOVE] then
    finish_record(record, id, outcome)
    done[#done + 1], done[#done + 2] = 0, settled_place(record, id)
    if verdict[VERDICT_KEEP] >= 0 then keeps[record[QUEUE]] = verdict[VERDICT_KEEP] end
  else
    finish(record, id, outcome)
    if outcome == 'completed' then
      remove_settled(completed, 'completed', { settled_place(record, id) })
      record.removed = true
    end
  end
  if told ~= 'returned' and told ~= 'held' then
    tell(record, id, told, attempt, token, owner_then, waited, started, verdict[VERDICT_DETAIL])
  end
end

-- What nobody can read any more has no verdict either.
local function set_aside_if_held(id)
  for _, member in ipairs(redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner))) do
    if id_of(member) == id then set_aside_active(member) end
  end
end

local changed, following = {}, {}
for _, verdict in ipairs(verdicts) do
  local id, token = verdict[VERDICT_ID], verdict[VERDICT_TOKEN]
  local record = records[id]
  local answer = 0
  if not record or record.removed then
    local known = redis.call('ZSCORE', markers, id)
    if known and tonumber(known) > now then answer = 2 elseif not record then set_aside_if_held(id) end
  elseif record[STATE] ~= 'active' or record[OWNER] ~= owner or record[DELIVERIES] ~= token then
    if record[SETTLED] == token then answer = 2 end
  else
    answer = 1
    settle_one(record, id, verdict)
    local entry = verdict[VERDICT_CACHE]
    if entry then keep_in_cache(entry[1], entry[2], entry[3]) end
    if verdict[VERDICT_FOLLOW] then following[#following + 1] = verdict[VERDICT_FOLLOW] end
    changed[id] = not record.removed and record or nil
  end
  answers[#answers + 1] = answer
end

local saved = {}
for id, record in pairs(changed) do
  saved[#saved + 1], saved[#saved + 2] = id, cmsgpack.pack(record)
end
if #saved > 0 then redis.call('HSET', meta, unpack(saved)) end
if #done > 0 then redis.call('ZADD', completed, unpack(done)) end
local place = now_us + #answers
for _, follow in ipairs(following) do
  for n = 1, #follow, 3 do
    accept(follow[n], follow[n + 1], follow[n + 2], place)
    place = place + 1
  end
end
write_releases()
for queue, keep in pairs(keeps) do
  local over = redis.call('ZLEXCOUNT', completed, first_of(queue), last_of(queue)) - keep
  if over > 0 then
    remove_settled(completed, 'completed', redis.call('ZRANGEBYLEX', completed, first_of(queue), last_of(queue), 'LIMIT', 0, math.min(over, REMOVE_AT_ONCE + #ARGV)))
  end
end
forget_markers(REMOVE_AT_ONCE + #ARGV)
publish_news()
write_counts()
for queue in pairs(woken) do answers[#answers + 1] = queue end
return answers
