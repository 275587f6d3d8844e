-- PURPOSE: Remove settled jobs past their age or count, at most `most`, and clear away what has expired.
-- KEYS: jobs, meta, outcomes, progress, markers, completed, failed, cancelled, dead, starts, unique, expiries, running, tally, totals, events, clocks, lines
-- ARGV: most, cursor, rule...
-- RETURNS: how many jobs were removed, and the cursor to give next time
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, removal, unread
-- Rules come in fours: queue, ages in ms of completed (or cancelled) and of failed jobs, most failed ones (or -1).
local removed = 0
local EXPIRED = 1000
local CLOCKS = 200
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

for _, member in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, EXPIRED)) do
  local kind, what = string.sub(member, 1, 1), string.sub(member, 2)
  redis.call('ZREM', expiries, member)
  if kind == 'M' then
    redis.call('HDEL', totals, what)
  elseif kind == 'U' then
    local packed = redis.call('HGET', unique, what)
    local ends = packed and cmsgpack.unpack(packed)[3] or 0
    if ends > 0 and ends <= now then redis.call('HDEL', unique, what) end
  else
    local per_ms, name = string.match(what, '^(%d+)\31(.*)$')
    redis.call('ZREMRANGEBYLEX', starts, first_of(name), '(' .. name .. SEP .. string.format('%013d', now - tonumber(per_ms)) .. '\32')
  end
end
forget_markers(EXPIRED)

-- The clock of an empty line says nothing once its band has come past it.
local found = redis.call('HSCAN', clocks, cursor, 'COUNT', CLOCKS)
local values = {}
for i = 1, #found[2], 2 do values[found[2][i]] = tonumber(found[2][i + 1]) end
for line, vt in pairs(values) do
  local band = string.match(line, '^(.-\31..)\31')
  if band and not redis.call('HGET', lines, line) and vt < tonumber(redis.call('HGET', clocks, band) or 0) then
    redis.call('HDEL', clocks, line)
  end
end
write_counts()
return { removed, found[1] }
