-- PURPOSE: Count the jobs of queues by state.
-- KEYS: waiting, apart, order, gates, delayed, running, completed, failed, cancelled, dead, tally, totals, policies, rests
-- ARGV: queue...
-- RETURNS: for each queue waiting, delayed, active, completed, failed, cancelled, dead letters, completed ever, failed ever, retries, age of the oldest waiting job in ms or -1, resting, paused, completed and failed a minute in thousandths
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, places
-- The oldest of a line is its head of each priority. Of many lanes, or gates of one, so many of the least and of
-- the most served are asked.
local LINES = 2

local function age_of(member)
  local place = string.match(member, '.*\31..(%x+)\31[^\31]*$')
  return now - math.floor(tonumber(place, 16) / 1000)
end

local function oldest_of_line(line)
  local oldest, from = -1, first_of(line)
  -- Where bands are priorities, a line has one.
  for _ = 1, string.find(line, '^[^\31]*\03100') and 10 or 1 do
    local head = redis.call('ZRANGEBYLEX', waiting, from, last_of(line), 'LIMIT', 0, 1)[1]
    if not head then break end
    oldest = math.max(oldest, age_of(head))
    from = '[' .. line .. SEP .. string.sub(head, #line + 2, #line + 3) .. 'g'
  end
  return oldest
end

-- The first and the last members of a set between two ends.
local function ends_of(set, from, to, first, last)
  local found = redis.call('ZRANGEBYLEX', set, from, to, 'LIMIT', 0, first)
  if #found == first then
    for _, member in ipairs(redis.call('ZREVRANGEBYLEX', set, to, from, 'LIMIT', 0, last)) do found[#found + 1] = member end
  end
  return found
end

local any_gates = redis.call('ZCARD', gates) > 0

local function oldest_in(queue)
  local oldest, seen = -1, {}
  for _, place in ipairs(ends_of(order, first_of(queue), last_of(queue), LINES, LINES)) do
    local band, name = string.match(place, '^(.-\31..)\31%x+\31(.*)$')
    local lane = band .. SEP .. name
    if not seen[lane] then
      seen[lane] = true
      oldest = math.max(oldest, oldest_of_line(lane))
      -- What goes through no gate is among them.
      for _, turn in ipairs(any_gates and ends_of(gates, '[' .. lane .. GATE_MARK, '(' .. lane .. SEP, LINES + 1, LINES) or {}) do
        local gate = string.sub(turn, #lane + 17)
        if gate ~= '' then oldest = math.max(oldest, oldest_of_line(lane .. GATE_MARK .. gate)) end
      end
    end
  end
  return oldest
end

-- What no awake line shows: jobs in lines that rest, and those apart.
local function oldest_elsewhere(queue, oldest, outside)
  local resting_head = redis.call('ZRANGEBYLEX', waiting, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1]
  if resting_head then oldest = math.max(oldest, age_of(resting_head)) end
  for _, kind in ipairs(outside > 0 and { 'h', 's' } or {}) do
    local scope = queue .. SEP .. kind
    local member = redis.call('ZRANGEBYLEX', apart, first_of(scope), last_of(scope), 'LIMIT', 0, 1)[1]
    if member then oldest = math.max(oldest, now - math.floor(tonumber(string.sub(member, #scope + 2, #scope + 14), 16) / 1000)) end
  end
  return oldest
end

local minute = math.floor(now / 60000)
local through = 60000 + now % 60000

-- Ever: completed, failed, retries. And a minute, over this one and the one before: completed, failed.
local function totals_of(queue)
  local of = queue .. SEP
  local fields = { of .. 'completed', of .. 'failed', of .. 'retries' }
  for _, word in ipairs({ 'completed', 'failed' }) do
    for back = 0, 1 do fields[#fields + 1] = of .. word .. SEP .. minute - back end
  end
  local n = redis.call('HMGET', totals, unpack(fields))
  for i = 1, 7 do n[i] = tonumber(n[i] or 0) end
  local function rate(count) return math.floor(1000 * count * 60000 / through + 0.5) end
  return { n[1], n[2], n[3] }, rate(n[4] + n[5]), rate(n[6] + n[7])
end

local sets = { waiting, delayed, apart, completed, failed, cancelled, dead }
local empty = {}
for n, set in ipairs(sets) do empty[n] = redis.call('ZCARD', set) == 0 end

local answer = {}
for i = first_queue, #ARGV do
  local queue = ARGV[i]
  local row = {}
  for n, set in ipairs(sets) do
    row[n] = empty[n] and 0 or redis.call('ZLEXCOUNT', set, first_of(queue), last_of(queue))
  end
  local outside = row[3]
  row[1] = row[1] + outside
  row[3] = tonumber(redis.call('HGET', running, 'q' .. SEP .. queue) or 0)
  local ever, completed_rate, failed_rate = totals_of(queue)
  for n, total in ipairs(ever) do row[7 + n] = total end
  row[11] = row[1] > 0 and math.max(0, oldest_elsewhere(queue, oldest_in(queue), outside)) or -1
  local rest = redis.call('HGET', rests, queue)
  if rest and cmsgpack.unpack(rest)[1] > now then
    row[12] = row[1]
  else
    row[12] = tonumber(redis.call('HGET', tally, queue .. SEP .. SEP .. 'all-resting') or 0)
  end
  row[13] = redis.call('HEXISTS', policies, 'p' .. SEP .. queue)
  row[14], row[15] = completed_rate, failed_rate
  answer[#answer + 1] = row
end
return answer
