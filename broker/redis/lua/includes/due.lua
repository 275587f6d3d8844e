-- What time has brought: delayed jobs that are due, rests that are over. Bounded, so that a call stays short.
local PROMOTE_QUEUES = 16
local PROMOTE_JOBS = 100
local TIMERS = 200
local touched = {}

local function promote_due()
  for _, queue in ipairs(redis.call('ZRANGEBYSCORE', clock, '-inf', now, 'LIMIT', 0, PROMOTE_QUEUES)) do
    local due = redis.call('ZRANGEBYLEX', delayed, first_of(queue), '(' .. timed_place(queue, now + 1, ''), 'LIMIT', 0, PROMOTE_JOBS)
    for _, member in ipairs(due) do
      local id = id_of(member)
      local record = load_record(id)
      redis.call('ZREM', delayed, member)
      if record then
        count_job(record, 'delayed', -1)
        record[READY] = record[DUE]
        record[PLACE] = record[DUE] * 1000
        line_up(record, id)
        save_record(id, record)
      else
        set_aside(id, queue)
      end
    end
    touched[queue] = true
    set_clock(queue)
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

local function ring_timers()
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, TIMERS)) do
    local kind, what = string.sub(member, 1, 1), string.sub(member, 2)
    redis.call('ZREM', timers, member)
    if kind == 'L' then
      wake_line(what)
    elseif kind == 'S' then
      end_rest(what)
    elseif kind == 'Q' then
      make_ready(what)
    else
      local record = load_record(id_of(what))
      if record then stop_holding(record, id_of(what)) end
    end
    touched[string.match(what, '^[^\31]*')] = true
  end
end
