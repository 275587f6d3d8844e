-- PURPOSE: Give back the jobs of workers whose lease ran out: they are suspects, at their old place.
-- KEYS: jobs, meta, outcomes, waiting, apart, lines, order, clocks, gates, ready, timers, clock, rests, asleep, meters, permits, limited, starts, running, policies, unique, held, leases, workers, requests, idle, turns, completed, failed, cancelled, dead, tally, totals, expiries, events, backlog
-- ARGV: max_lost, most, reason, grace_ms
-- RETURNS: how many jobs, then the queues that have work again
-- EVENTS: `lost` for each job, `failed` for one whose record cannot be read
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, limits, unique, settlement, news, farewell, solitude, watch, rules, aside, resting, meters, permits
-- A job that lost its lease `max_lost` times, or on its last attempt, is dead-lettered with `reason`.
local OWNERS = 16
local SILENCE_MS = 10000
local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, OWNERS)

-- Nobody has been heard of for long: it was the store that was away, and whoever lives renews in a moment.
local beat = tonumber(redis.call('HGET', workers, '') or 0)
redis.call('HSET', workers, '', now)
if #expired > 0 and beat > 0 and now - beat > SILENCE_MS and tonumber(grace_ms) > 0 then
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
    redis.call('ZADD', leases, now + tonumber(grace_ms), owner)
  end
  return { 0 }
end

local left, queues = tonumber(most), {}

local function give_back(id, record, owner)
  local waited, started = record[READY], record[STARTED]
  release(record, id)
  record[LOST] = record[LOST] + 1
  record[CHARGE], record[RATED] = 0, ''
  if record[CANCEL] == 1 then
    redis.call('HSET', outcomes, id, cancelled_outcome(record))
    finish(record, id, 'cancelled')
  elseif record[LOST] >= tonumber(max_lost) or record[ATTEMPTS] >= record[MAX_ATTEMPTS] then
    redis.call('HSET', outcomes, id, reason)
    finish(record, id, 'failed')
  else
    record[READY] = now
    line_up(record, id)
    queues[record[QUEUE]] = true
  end
  save_record(id, record)
  tell(record, id, 'lost', record[ATTEMPTS], record[DELIVERIES], owner, waited, started, '')
end

for _, owner in ipairs(expired) do
  local members = redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, left)
  for _, member in ipairs(members) do
    local id = id_of(member)
    local record = record_from(redis.call('HGET', meta, id))
    if record and record[STATE] == 'active' and record[OWNER] == owner then
      give_back(id, record, owner)
    else
      if record then redis.call('ZREM', held, member) else set_aside_active(member) end
    end
  end
  left = left - #members
  -- Written now, so that the question below sees it.
  write_releases()
  leaving, freed, over = {}, {}, {}
  if #redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, 1) == 0 then
    local watched = forget_worker(owner)
    if watched then queues[watched] = true end
  end
  if left <= 0 then break end
end
publish_news()
write_counts()
local answer = { tonumber(most) - left }
for queue in pairs(woken) do queues[queue] = true end
for queue in pairs(queues) do answer[#answer + 1] = queue end
return answer
