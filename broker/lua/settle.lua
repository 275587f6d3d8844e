-- PURPOSE: Store how deliveries ended, with what follows from each and its event, in one step.
-- KEYS: meta, payload, waiting, ready, delayed, clock, active, held, completed, failed, cancelled, dead, outcomes, progress, markers, totals, events, sequence
-- ARGV: owner, verdict...
-- RETURNS: for each verdict 1 (stored), 2 (this delivery was settled before) or 0 (the lease was lost)
-- EVENTS: one for each stored verdict but `returned`
-- OOM: allowed
-- INCLUDE: clock, record, places, line_up, settlement, removal
-- A verdict is packed as id, token, outcome, delay, record or false, detail, progress or false, dead-letter
-- queue (or empty: the job's own), how many completed jobs the queue keeps (or -1), and whether a completed
-- job is removed at once.
local INTERRUPTED_NOT_BEFORE_MS, MAX_INTERRUPTIONS, REMOVE_AT_ONCE = 2000, 10, 100
local answers, keeps, removed = {}, {}, {}

for i = first_verdict, #ARGV do
  local verdict = cmsgpack.unpack(ARGV[i])
  local id, token, outcome = verdict[1], verdict[2], verdict[3]
  local record = load_record(id)
  local answer = 0
  if not record then
    if redis.call('ZSCORE', markers, id) then answer = 2 end
  elseif record[STATE] ~= 'active' or record[OWNER] ~= owner or record[DELIVERIES] ~= token then
    if record[SETTLED] == token then answer = 2 end
  else
    answer = 1
    local attempt = record[ATTEMPTS]
    record[SETTLED] = token
    release(record, id)
    record[OWNER] = ''
    if verdict[5] then
      redis.call('HSET', outcomes, id, verdict[5])
    elseif outcome == 'completed' then
      redis.call('HDEL', outcomes, id) -- the failure of an earlier attempt is no outcome of this one
    end
    if verdict[7] then redis.call('HSET', progress, id, verdict[7]) end
    local waited = record[READY]
    if verdict[8] ~= '' then record[DEAD_LETTER] = verdict[8] end
    if outcome == 'interrupted' and record[INTERRUPTIONS] + 1 >= MAX_INTERRUPTIONS then
      finish(record, id, 'failed', now)
    elseif outcome == 'completed' or outcome == 'cancelled' then
      finish(record, id, outcome, now)
      if outcome == 'completed' and verdict[9] >= 0 then keeps[record[QUEUE]] = verdict[9] end
      if outcome == 'completed' and verdict[10] then
        redis.call('ZREM', completed, timed_place(record[QUEUE], now, id))
        removed[#removed + 1] = id
      end
    elseif outcome == 'failed' then
      finish(record, id, 'failed', now)
    else
      local delay = verdict[4]
      if outcome == 'retry' then
        redis.call('HINCRBY', totals, record[QUEUE] .. SEP .. 'retries', 1)
      else
        record[ATTEMPTS] = attempt - 1
      end
      if outcome == 'interrupted' then
        record[INTERRUPTIONS] = record[INTERRUPTIONS] + 1
        delay = math.max(delay, INTERRUPTED_NOT_BEFORE_MS)
      end
      if delay > 0 then
        postpone(record, id, now + delay)
      else
        -- A job that was handed back unstarted keeps its place.
        if outcome ~= 'returned' then
          record[SEQUENCE] = redis.call('INCR', sequence)
          record[READY] = now
        end
        line_up(record, id)
      end
    end
    save_record(id, record)
    if outcome ~= 'returned' then
      local ended = record[READY]
      record[READY] = waited
      append_event(record, id, outcome, attempt, owner, now, verdict[6])
      record[READY] = ended
    end
  end
  answers[#answers + 1] = answer
end

remove_settled(removed, now)
for queue, keep in pairs(keeps) do
  local over = redis.call('ZLEXCOUNT', completed, first_of(queue), last_of(queue)) - keep
  if over > 0 then
    local members = redis.call('ZRANGEBYLEX', completed, first_of(queue), last_of(queue), 'LIMIT', 0, math.min(over, REMOVE_AT_ONCE + #ARGV))
    local ids = {}
    for i, member in ipairs(members) do ids[i] = id_of(member) end
    redis.call('ZREM', completed, unpack(members))
    remove_settled(ids, now)
  end
end
forget_markers(now, REMOVE_AT_ONCE + #ARGV)
return answers
