-- PURPOSE: Promote what is due, then lease waiting jobs to a worker process. Spends an attempt each.
-- KEYS: meta, payload, waiting, ready, delayed, clock, active, held, leases, requests, sequence, completed, failed, cancelled, dead, outcomes, totals, events
-- ARGV: owner, request, credits, lease_ms, shares
-- RETURNS: now, the next due time or -1, the queues with jobs left over, then id, record, payload of each job
-- EVENTS: `failed` for a job whose record cannot be read; any other attempt's event is appended when it ends
-- OOM: allowed
-- INCLUDE: clock, record, places, line_up, settlement, set_aside
-- `shares` is " queue=most/cap" for each queue of the process: how many more it may start, and the cap
-- over all workers (or -). `request` makes a repeated fetch return the jobs of the first.
local PROMOTE_QUEUES, PROMOTE_JOBS = 16, 100
local touched, capped = {}, {}

for _, queue in ipairs(redis.call('ZRANGEBYSCORE', clock, '-inf', now, 'LIMIT', 0, PROMOTE_QUEUES)) do
  local due = redis.call('ZRANGEBYLEX', delayed, first_of(queue), '(' .. timed_place(queue, now + 1, ''), 'LIMIT', 0, PROMOTE_JOBS)
  for _, member in ipairs(due) do
    local id = id_of(member)
    local record = load_record(id)
    redis.call('ZREM', delayed, member)
    if record then
      record[READY] = record[DUE]
      record[SEQUENCE] = redis.call('INCR', sequence)
      line_up(record, id)
      save_record(id, record)
    else
      set_aside(id, queue)
    end
  end
  touched[queue] = true
  local head = redis.call('ZRANGEBYLEX', delayed, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1]
  if head then
    redis.call('ZADD', clock, string.sub(head, #queue + 2, #queue + 14), queue)
  else
    redis.call('ZREM', clock, queue)
  end
end

redis.call('ZADD', leases, now + tonumber(lease_ms), owner)
local reply = { now, -1, {} }

local function give(id, packed)
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = id, packed, redis.call('HGET', payload, id)
end

local last = redis.call('HGET', requests, owner)
last = last and cmsgpack.unpack(last) or {}
if last[1] == request then
  for i = 2, #last do
    local record = load_record(last[i])
    if record and record[STATE] == 'active' and record[OWNER] == owner then give(last[i], cmsgpack.pack(record)) end
  end
else
  local left, given = tonumber(credits), { request }
  if left > 0 then
    -- The queue served longest ago comes first.
    for _, queue in ipairs(redis.call('ZRANGE', ready, 0, -1)) do
      local _, at = string.find(shares, ' ' .. queue .. '=', 1, true)
      if at then
        local most, cap = string.match(shares, '^(%d+)/([%d-]+)', at + 1)
        most = math.min(tonumber(most), left)
        if cap ~= '-' then
          local under = tonumber(cap) - redis.call('ZLEXCOUNT', active, first_of(queue), last_of(queue))
          if under <= most then most, capped[queue] = under, true end
        end
        if most > 0 then
          local members = redis.call('ZRANGEBYLEX', waiting, first_of(queue), last_of(queue), 'LIMIT', 0, most)
          local taken, started, owned = {}, {}, {}
          for i, member in ipairs(members) do
            local id = id_of(member)
            local record = load_record(id)
            taken[i] = member
            if record then
              record[STATE] = 'active'
              record[ATTEMPTS] = record[ATTEMPTS] + 1
              record[DELIVERIES] = record[DELIVERIES] + 1
              record[OWNER] = owner
              record[STARTED] = now
              give(id, save_record(id, record))
              local n = #owned
              started[n + 1], started[n + 2] = 0, active_place(record, id)
              owned[n + 1], owned[n + 2] = 0, held_place(owner, id)
              given[#given + 1] = id
              left = left - 1
            else
              set_aside(id, queue)
            end
          end
          if #taken > 0 then
            redis.call('ZREM', waiting, unpack(taken))
            redis.call('ZADD', ready, now_us, queue)
          end
          if #owned > 0 then
            redis.call('ZADD', active, unpack(started))
            redis.call('ZADD', held, unpack(owned))
          end
        end
        -- What there was no credit for is work for another process: this one may have taken its wake-up.
        touched[queue] = true
      end
    end
  end
  redis.call('HSET', requests, owner, cmsgpack.pack(given))
end

for queue in pairs(touched) do
  if redis.call('ZRANGEBYLEX', waiting, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then
    -- What a cap over all workers holds back is no work for another process either.
    if not capped[queue] then table.insert(reply[3], queue) end
  else
    redis.call('ZREM', ready, queue)
  end
end
local next_due = redis.call('ZRANGE', clock, 0, 0, 'WITHSCORES')
if next_due[2] then reply[2] = tonumber(next_due[2]) end
return reply
