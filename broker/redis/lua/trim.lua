-- PURPOSE: Remove settled jobs past their age or count, at most `most`, and clear away what has expired.
-- KEYS: jobs, meta, outcomes, progress, steps, logs, markers, completed, failed, cancelled, dead, starts, unique, expiries, running, tally, totals, events, clocks, lines, order, waiting, turns, costs, meters, permits, limited, rests, groups, arrivals, policies
-- ARGV: most, clocks_from, turns_from, rule...
-- RETURNS: how many jobs were removed, whether more has expired than one call clears away, the cursors to give next time, and the queues whose rousing was begun and not ended
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, notes, removal, unread, meters, permits
-- Rules come in fours: queue, ages in ms of completed (or cancelled) and of failed jobs, most failed ones (or -1).
local removed = 0
local EXPIRED = 1000
local FIELDS = 1000
local EXPIRED_RESULT = '{"result":null,"note":"its time was over"}'
local unread_from = first_unread()

local function remove_first(set, word, queue, upto, most_here)
  local members = redis.call('ZRANGEBYLEX', set, first_of(queue), upto, 'LIMIT', 0, math.min(most_here, tonumber(most) - removed))
  remove_settled(set, word, members)
  removed = removed + #members
end

local function ended_by(queue, time)
  return '(' .. timed_place(queue, time + 1, '')
end

for i = first_rule, #ARGV, 4 do
  local queue, kept = ARGV[i], tonumber(ARGV[i + 3])
  local oldest = now - tonumber(ARGV[i + 1])
  remove_first(completed, 'completed', queue, ended_by(queue, oldest), math.huge)
  remove_first(cancelled, 'cancelled', queue, ended_by(queue, oldest), math.huge)
  -- A dead letter stays until its audit row is stored.
  local read_upto = math.min(now, unread_from - 1)
  remove_first(failed, 'failed', queue, ended_by(queue, math.min(now - tonumber(ARGV[i + 2]), read_upto)), math.huge)
  if kept >= 0 then
    local over = redis.call('ZLEXCOUNT', failed, first_of(queue), last_of(queue)) - kept
    if over > 0 then remove_first(failed, 'failed', queue, ended_by(queue, read_upto), over) end
  end
  if removed >= tonumber(most) then break end
end

local expired = redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, EXPIRED)
local old_markers = forget_markers(EXPIRED)
local more = #expired == EXPIRED or old_markers == EXPIRED

local function forget_starts(per_ms, name, member)
  local upto = '(' .. name .. SEP .. string.format('%013d', now - tonumber(per_ms)) .. '\32'
  local old = redis.call('ZRANGEBYLEX', starts, first_of(name), upto, 'LIMIT', 0, EXPIRED)
  if #old > 0 then redis.call('ZREM', starts, unpack(old)) end
  if #old == EXPIRED then
    redis.call('ZADD', expiries, now, member)
    more = true
  end
end

-- A counter that is as it was at its beginning, and that nobody waits for.
local function forget_counter(key)
  forget_waiters(key, 100)
  local state = meter_of(key)
  if permits_taken(key) > 0 or waiters_of(key) > 0 or (state and state.open_until and state.open_until > now) then
    redis.call('ZADD', expiries, now + PERMITS_KEPT_MS, 'K' .. key)
    return
  end
  local name = 'k' .. SEP .. key
  redis.call('HDEL', meters, key)
  redis.call('ZREMRANGEBYLEX', limited, first_of(name), last_of(name))
end

for _, member in ipairs(expired) do
  local kind, what = string.sub(member, 1, 1), string.sub(member, 2)
  redis.call('ZREM', expiries, member)
  if kind == 'M' then
    redis.call('HDEL', totals, what)
  elseif kind == 'C' then
    redis.call('HDEL', costs, what)
  elseif kind == 'K' then
    forget_counter(what)
  elseif kind == 'O' then
    -- A result whose time is over, unless another delivery has settled the job since.
    local token, id = string.match(what, '^(%d+)\31(.*)$')
    local record = load_record(id)
    if record and record[STATE] == 'completed' and record[SETTLED] == tonumber(token) then redis.call('HSET', outcomes, id, EXPIRED_RESULT) end
  elseif kind == 'G' then
    redis.call('HDEL', groups, what)
    local members = redis.call('ZRANGEBYLEX', arrivals, first_of(what), last_of(what), 'LIMIT', 0, EXPIRED)
    if #members > 0 then redis.call('ZREM', arrivals, unpack(members)) end
    if #members == EXPIRED then
      redis.call('ZADD', expiries, now, member)
      more = true
    end
  elseif kind == 'U' then
    local packed = redis.call('HGET', unique, what)
    local ends = packed and cmsgpack.unpack(packed)[3] or 0
    if ends > 0 and ends <= now then redis.call('HDEL', unique, what) end
  else
    local per_ms, name = string.match(what, '^(%d+)\31(.*)$')
    forget_starts(per_ms, name, member)
  end
end
forget_what_nobody_reads()

-- The clock of an empty lane says nothing once its band has come past it, or where nobody waits in the band.
local idle_bands = {}
local function stands_idle(band)
  if idle_bands[band] == nil then
    idle_bands[band] = not redis.call('ZRANGEBYLEX', order, first_of(band), last_of(band), 'LIMIT', 0, 1)[1]
  end
  return idle_bands[band]
end

local found = redis.call('HSCAN', clocks, clocks_from, 'COUNT', FIELDS)
for i = 1, #found[2], 2 do
  local lane, vt = found[2][i], tonumber(found[2][i + 1])
  local band = string.match(lane, '^(.-\31..)\31')
  if band and not redis.call('HGET', lines, lane) and (stands_idle(band) or vt < tonumber(redis.call('HGET', clocks, band) or 0)) then
    redis.call('HDEL', clocks, lane)
  end
end

-- What a line without jobs remembers of its priorities; other fields of `turns` are no line's.
local counts_found = redis.call('HSCAN', turns, turns_from, 'COUNT', FIELDS)
for i = 1, #counts_found[2], 2 do
  local line = counts_found[2][i]
  if string.find(line, '^[^\31]+\31..\31') and not redis.call('ZRANGEBYLEX', waiting, first_of(line), last_of(line), 'LIMIT', 0, 1)[1] then
    redis.call('HDEL', turns, line)
  end
end
write_counts()
-- Whoever was to wake what a former rule held back has died.
local asleep_still = {}
for i = first_rule, #ARGV, 4 do
  if redis.call('HEXISTS', policies, 'm' .. SEP .. ARGV[i]) == 1 then asleep_still[#asleep_still + 1] = ARGV[i] end
end
return { removed, more and 1 or 0, found[1], counts_found[1], asleep_still }
