-- Where a job that has not started stands: in its line, apart (held by itself, or a suspect), or delayed.
local LAST_TIME = 9999999999999

local function band_for(queue, priority)
  return redis.call('HEXISTS', policies, 'b' .. SEP .. queue) == 1 and 0 or priority
end

-- `record` is waiting or will be: put it into its line, or apart when it lost a lease.
local function line_up(record, id)
  record[STATE] = 'waiting'
  record[DUE] = 0
  record[OWNER] = ''
  record[BAND] = band_for(record[QUEUE], record[PRIORITY])
  if record[LOST] > 0 then
    redis.call('ZADD', apart, 0, apart_place(record, id))
    count_job(record, 'apart', 1)
  else
    stand_in_line(record, id)
  end
end

-- Hold a job back by itself; it is waiting all the same.
local function hold_apart(record, id, wake_at, reason)
  record[STATE] = 'waiting'
  record[OWNER] = ''
  record[DUE] = wake_at
  record[REASON] = reason
  redis.call('ZADD', apart, 0, apart_place(record, id))
  redis.call('ZADD', timers, wake_at, 'J' .. record[QUEUE] .. SEP .. id)
  count_job(record, 'apart', 1)
  count_job(record, 'resting', 1)
end

local function is_apart(record)
  return record[STATE] == 'waiting' and (record[LOST] > 0 or record[DUE] > 0)
end

local function postpone(record, id, due)
  -- A fourteenth digit would put the job before all others, and no fetch would ever get past it.
  due = math.min(due, LAST_TIME)
  record[STATE] = 'delayed'
  record[DUE] = due
  record[READY] = 0
  record[OWNER] = ''
  redis.call('ZADD', delayed, 0, timed_place(record[QUEUE], due, id))
  redis.call('ZADD', clock, 'LT', due, record[QUEUE])
  count_job(record, 'delayed', 1)
end

local function set_clock(queue)
  local head = redis.call('ZRANGEBYLEX', delayed, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1]
  if head then
    local due = string.sub(head, #queue + 2, #queue + 14)
    if not tonumber(due) then
      redis.call('ZREM', delayed, head) -- it is nothing of ours, and must not stop the others
      return set_clock(queue)
    end
    redis.call('ZADD', clock, due, queue)
  else
    redis.call('ZREM', clock, queue)
  end
end

-- Take a waiting or delayed job from where it stands.
local function step_away(record, id)
  if record[STATE] == 'delayed' then
    redis.call('ZREM', delayed, timed_place(record[QUEUE], record[DUE], id))
    set_clock(record[QUEUE])
    count_job(record, 'delayed', -1)
  elseif is_apart(record) then
    redis.call('ZREM', apart, apart_place(record, id))
    count_job(record, 'apart', -1)
    if record[DUE] > 0 then
      redis.call('ZREM', timers, 'J' .. record[QUEUE] .. SEP .. id)
      count_job(record, 'resting', -1)
    end
  else
    step_out(record, id)
  end
end

-- A job that was held by itself is back in its line, at its place.
local function stop_holding(record, id)
  redis.call('ZREM', apart, apart_place(record, id))
  count_job(record, 'apart', -1)
  redis.call('ZREM', timers, 'J' .. record[QUEUE] .. SEP .. id)
  count_job(record, 'resting', -1)
  record[REASON] = ''
  line_up(record, id)
  save_record(id, record)
end
