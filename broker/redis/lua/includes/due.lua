-- What time has brought: delayed jobs that are due, rests that are over. Bounded, so that a call stays short.
local PROMOTE_QUEUES = 16
local PROMOTE_JOBS = 100
local TIMERS = 200
local touched = {}

local function promote(member, queue)
  local id = id_of(member)
  local record = load_record(id)
  redis.call('ZREM', delayed, member)
  if not record then return set_aside_delayed(id, queue) end
  count_job(record, 'delayed', -1)
  record[READY] = record[DUE]
  record[PLACE] = record[DUE] * 1000
  line_up(record, id)
  save_record(id, record)
end

local function promote_due()
  for _, queue in ipairs(redis.call('ZRANGEBYSCORE', clock, '-inf', now, 'LIMIT', 0, PROMOTE_QUEUES)) do
    local due = redis.call('ZRANGEBYLEX', delayed, first_of(queue), '(' .. timed_place(queue, now + 1, ''), 'LIMIT', 0, PROMOTE_JOBS)
    for _, member in ipairs(due) do
      local fine = tried('a delayed job of queue ' .. queue .. ' cannot be promoted', promote, member, queue)
      if not fine then tried('it cannot be set aside', set_aside_delayed, id_of(member), queue) end
    end
    touched[queue] = true
    set_clock(queue)
  end
  if next(to_recount) then tried('delayed jobs cannot be counted', recount_what_was_lost) end
end

-- A rest is over. One in drips goes on for a while: what it lets start may ask for more.
local function ring_rest(scope)
  local packed = redis.call('HGET', rests, scope)
  local rest = packed and cmsgpack.unpack(packed)
  if not rest or not rest[3] or rest[1] == 0 then return end_rest(scope) end
  rest[1], rest[4] = 0, 0
  redis.call('HSET', rests, scope, cmsgpack.pack(rest))
  redis.call('ZADD', timers, now + DRIPS_KEPT_MS, 'S' .. scope)
  wake_what_rests(scope)
end

local function ring(kind, what)
  if kind == 'L' then
    wake_line(what)
  elseif kind == 'S' then
    ring_rest(what)
  elseif kind == 'Q' then
    make_ready(what)
  else
    local queue, id = string.match(what, '^([^\31]*)\31(.*)$')
    local record = load_record(id)
    if record then stop_holding(record, id) else set_aside_held_back(queue, id) end
  end
end

local function ring_timers()
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'LIMIT', 0, TIMERS)) do
    local kind, what = string.sub(member, 1, 1), string.sub(member, 2)
    redis.call('ZREM', timers, member)
    tried('a timer cannot be rung', ring, kind, what)
    touched[string.match(what, '^[^\31]*')] = true
  end
end
