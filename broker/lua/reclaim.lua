-- PURPOSE: Give back the jobs of workers whose lease ran out, at the head of their lane.
-- KEYS: meta, payload, waiting, ready, delayed, clock, active, held, completed, failed, cancelled, dead, outcomes, totals, events, leases, workers, requests
-- ARGV: max_lost, most, reason
-- RETURNS: how many jobs, then the queues that have work again
-- EVENTS: `lost` for each job
-- OOM: allowed
-- INCLUDE: clock, record, places, line_up, settlement, set_aside
-- A job that lost its lease `max_lost` times, or on its last attempt, is dead-lettered with `reason`.
local OWNERS = 16
local left, queues = tonumber(most), {}

local function give_back(id, record, owner)
  local waited = record[READY]
  release(record, id)
  record[OWNER] = ''
  record[LOST] = record[LOST] + 1
  if record[LOST] >= tonumber(max_lost) or record[ATTEMPTS] >= record[MAX_ATTEMPTS] then
    redis.call('HSET', outcomes, id, reason)
    finish(record, id, 'failed', now)
  else
    -- Its sequence stays, so nothing that came later runs before it.
    record[READY] = now
    line_up(record, id)
    queues[record[QUEUE]] = true
  end
  save_record(id, record)
  record[READY] = waited
  append_event(record, id, 'lost', record[ATTEMPTS], owner, now, '')
end

for _, owner in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, OWNERS)) do
  local members = redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, left)
  for _, member in ipairs(members) do
    local id = id_of(member)
    local record = load_record(id)
    if record then
      give_back(id, record, owner)
    else
      redis.call('ZREM', held, member)
      set_aside(id, 'unknown')
    end
  end
  left = left - #members
  if #redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, 1) == 0 then
    redis.call('ZREM', leases, owner)
    redis.call('HDEL', workers, owner)
    redis.call('HDEL', requests, owner)
  end
  if left <= 0 then break end
end

local reply = { tonumber(most) - left }
for queue in pairs(queues) do reply[#reply + 1] = queue end
return reply
