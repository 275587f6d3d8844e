-- PURPOSE: Count the jobs of queues by state.
-- KEYS: waiting, apart, order, delayed, running, completed, failed, cancelled, dead, tally, totals, policies, rests
-- ARGV: queue...
-- RETURNS: for each queue waiting, delayed, active, completed, failed, cancelled, dead letters, completed ever, failed ever, retries, age of the oldest waiting job in ms or -1, resting, paused, completed and failed a minute in thousandths
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, places
-- The oldest of a line is its head of each priority. Of more lines than this the least and the most served are asked.
local LINES = 2

local function age_of(member)
  local place = string.match(member, '.*\31..(%x+)\31[^\31]*$')
  return now - math.floor(tonumber(place, 16) / 1000)
end

local function oldest_in(queue)
  local oldest, seen = -1, {}
  for _, command in ipairs({ 'ZRANGEBYLEX', 'ZREVRANGEBYLEX' }) do
    local from, to = first_of(queue), last_of(queue)
    if command == 'ZREVRANGEBYLEX' then from, to = to, from end
    for _, place in ipairs(redis.call(command, order, from, to, 'LIMIT', 0, LINES)) do
      local band, name = string.match(place, '^(.-\31..)\31%x+\31(.*)$')
      local line = band .. SEP .. name
      if not seen[line] then
        seen[line] = true
        local from_priority = first_of(line)
        -- Where bands are priorities, a line has one.
        for _ = 1, string.sub(band, -2) == '00' and 10 or 1 do
          local head = redis.call('ZRANGEBYLEX', waiting, from_priority, last_of(line), 'LIMIT', 0, 1)[1]
          if not head then break end
          oldest = math.max(oldest, age_of(head))
          from_priority = '[' .. line .. SEP .. string.sub(head, #line + 2, #line + 3) .. 'g'
        end
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

local function per_minute(queue, word)
  local minute = math.floor(now / 60000)
  local found = redis.call('HMGET', totals, queue .. SEP .. word .. SEP .. minute, queue .. SEP .. word .. SEP .. (minute - 1))
  return math.floor(1000 * (tonumber(found[1] or 0) + tonumber(found[2] or 0)) * 60000 / (60000 + now % 60000) + 0.5)
end

local answer = {}
for i = first_queue, #ARGV do
  local queue = ARGV[i]
  local row = {}
  for n, set in ipairs({ waiting, delayed, apart, completed, failed, cancelled, dead }) do
    row[n] = redis.call('ZLEXCOUNT', set, first_of(queue), last_of(queue))
  end
  local outside = row[3]
  row[1] = row[1] + outside
  row[3] = tonumber(redis.call('HGET', running, 'q' .. SEP .. queue) or 0)
  for n, total in ipairs({ 'completed', 'failed', 'retries' }) do
    row[7 + n] = tonumber(redis.call('HGET', totals, queue .. SEP .. total) or 0)
  end
  row[11] = row[1] > 0 and math.max(0, oldest_elsewhere(queue, oldest_in(queue), outside)) or -1
  local rest = redis.call('HGET', rests, queue)
  if rest and cmsgpack.unpack(rest)[1] > now then
    row[12] = row[1]
  else
    row[12] = tonumber(redis.call('HGET', tally, queue .. SEP .. SEP .. 'all-resting') or 0)
  end
  row[13] = redis.call('HEXISTS', policies, 'p' .. SEP .. queue)
  row[14], row[15] = per_minute(queue, 'completed'), per_minute(queue, 'failed')
  answer[#answer + 1] = row
end
return answer
