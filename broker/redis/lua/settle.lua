-- PURPOSE: Store how deliveries ended, with what follows from each and its event, in one step.
-- KEYS: jobs, meta, outcomes, progress, waiting, apart, lines, order, clocks, crowd, ready, turns, timers, rests, asleep, running, starts, policies, unique, costs, delayed, clock, held, completed, failed, cancelled, dead, markers, tally, totals, expiries, events, backlog
-- ARGV: owner, verdict...
-- RETURNS: for each verdict 1 (stored), 2 (this delivery was settled before) or 0 (the lease was lost)
-- EVENTS: one for each stored verdict but `returned` and `held`, and `cancelled` where such a job was to be cancelled
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, limits, settlement, news, removal, unique, standing, lines, resting
-- A verdict is packed as id, token, outcome, delay, record or false, detail, progress or false, dead-letter
-- queue (or empty: the job's own), how many completed jobs the queue keeps (or -1), whether a completed job
-- is removed at once, what rests, and the reason.
local INTERRUPTED_NOT_BEFORE_MS = 2000
local MAX_INTERRUPTIONS = 10
local REMOVE_AT_ONCE = 100
local SMOOTH = 0.2
local STRANGER_MS = 1000
local WATCH = '\31watch'
local answers, keeps, records, verdicts, ids = {}, {}, {}, {}, {}

for i = first_verdict, #ARGV do
  local verdict = cmsgpack.unpack(ARGV[i])
  verdicts[#verdicts + 1], ids[#ids + 1] = verdict, verdict[1]
end
if #ids == 0 then return {} end
for i, packed in ipairs(redis.call('HMGET', meta, unpack(ids))) do
  records[ids[i]] = records[ids[i]] or (packed and record_from(packed)) or nil
end

local function learn_cost(record)
  local field = record[QUEUE] .. SEP .. record[LANE] .. SEP .. record[ACTOR]
  local took, old = now - record[STARTED], tonumber(redis.call('HGET', costs, field))
  redis.call('HSET', costs, field, string.format('%.3f', old and old + SMOOTH * (took - old) or took))
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
  local watch = redis.call('HGET', turns, WATCH)
  local watcher = watch and cmsgpack.unpack(watch)[1] or ''
  if watcher == '' or watcher == owner then
    redis.call('HSET', turns, WATCH, cmsgpack.pack({ '', 0, 0, owner, until_ms }))
  end
end

local function wait_again(record, id, verdict, outcome)
  local delay = verdict[4]
  if outcome == 'returned' or outcome == 'held' then
    undo_start(record, id)
    if outcome == 'returned' and delay > 0 then pass_on_the_watch(now + delay + STRANGER_MS) end
  elseif outcome == 'interrupted' then
    record[ATTEMPTS] = record[ATTEMPTS] - 1
    record[INTERRUPTIONS] = record[INTERRUPTIONS] + 1
    delay = math.max(delay, INTERRUPTED_NOT_BEFORE_MS)
  end
  if outcome == 'held' then
    if delay > 0 and verdict[11] == 'job' and record[LOST] == 0 then
      hold_apart(record, id, now + delay, verdict[12])
    else
      line_up(record, id)
      if delay > 0 then rest_scope(scope_of(record, verdict[11]), now + delay, verdict[12]) end
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
  local outcome, attempt, token, owner_then = verdict[3], record[ATTEMPTS], record[DELIVERIES], record[OWNER]
  local waited, started, told = record[READY], record[STARTED], verdict[3]
  record[SETTLED] = token
  release(record, id)
  if verdict[5] then
    redis.call('HSET', outcomes, id, verdict[5])
  elseif outcome == 'completed' and token > 1 then
    redis.call('HDEL', outcomes, id) -- the failure of an earlier attempt is no outcome of this one
  end
  if verdict[7] then redis.call('HSET', progress, id, verdict[7]) end
  if verdict[8] ~= '' then record[DEAD_LETTER] = verdict[8] end
  if record[CHARGE] > 0 and redis.call('HEXISTS', policies, 't' .. SEP .. record[QUEUE]) == 1 and (outcome == 'completed' or outcome == 'failed' or outcome == 'retry' or outcome == 'cancelled') then
    learn_cost(record)
  end
  if outcome == 'retry' then redis.call('HINCRBY', totals, record[QUEUE] .. SEP .. 'retries', 1) end
  local goes_on = outcome == 'retry' or outcome == 'interrupted' or outcome == 'returned' or outcome == 'held'
  if goes_on and record[CANCEL] == 1 then
    if outcome == 'returned' or outcome == 'held' then
      undo_start(record, id)
      told = 'cancelled'
    end
    if not verdict[5] then redis.call('HSET', outcomes, id, CANCELLED) end
    finish(record, id, 'cancelled')
  elseif outcome == 'interrupted' and record[INTERRUPTIONS] + 1 >= MAX_INTERRUPTIONS then
    finish(record, id, 'failed')
  elseif goes_on then
    wait_again(record, id, verdict, outcome)
  else
    finish(record, id, outcome)
    if outcome == 'completed' and verdict[10] then
      remove_settled(completed, 'completed', { settled_place(record, id) })
      record.removed = true
    elseif outcome == 'completed' and verdict[9] >= 0 then
      keeps[record[QUEUE]] = verdict[9]
    end
  end
  if told ~= 'returned' and told ~= 'held' then
    tell(record, id, told, attempt, token, owner_then, waited, started, verdict[6])
  end
end

local changed = {}
for _, verdict in ipairs(verdicts) do
  local id, token = verdict[1], verdict[2]
  local record = records[id]
  local answer = 0
  if not record or record.removed then
    local known = redis.call('ZSCORE', markers, id)
    if known and tonumber(known) > now then answer = 2 end
  elseif record[STATE] ~= 'active' or record[OWNER] ~= owner or record[DELIVERIES] ~= token then
    if record[SETTLED] == token then answer = 2 end
  else
    answer = 1
    settle_one(record, id, verdict)
    changed[id] = not record.removed and record or nil
  end
  answers[#answers + 1] = answer
end

local saved = {}
for id, record in pairs(changed) do
  saved[#saved + 1], saved[#saved + 2] = id, cmsgpack.pack(record)
end
if #saved > 0 then redis.call('HSET', meta, unpack(saved)) end
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
return answers
