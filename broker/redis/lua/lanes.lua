-- PURPOSE: Count the jobs of lanes of a queue.
-- KEYS: waiting, running, tally, policies
-- ARGV: queue, most, lane...
-- RETURNS: for each lane its name, waiting, active, delayed, completed, failed, cancelled, resting, weight in thousandths, paused
-- EVENTS: none
-- OOM: reads
-- INCLUDE: places
-- Without names: lanes with waiting jobs, found one by one.
local names, seen = {}, {}
for i = first_lane, #ARGV do names[#names + 1] = ARGV[i] end

local function find_waiting_lanes()
  for band = 0, 10 do
    local scope = queue .. SEP .. string.format('%02d', band)
    local from = first_of(scope)
    while #names < tonumber(most) do
      local member = redis.call('ZRANGEBYLEX', waiting, from, last_of(scope), 'LIMIT', 0, 1)[1]
      if not member then break end
      local lane = string.match(string.sub(member, #scope + 2), '^[^\30\31]*')
      if not seen[lane] then
        seen[lane] = true
        names[#names + 1] = lane
      end
      from = '[' .. scope .. SEP .. lane .. '\32'
    end
  end
end

local function tallied(lane, word)
  return tonumber(redis.call('HGET', tally, queue .. SEP .. lane .. SEP .. word) or 0)
end

if #names == 0 then find_waiting_lanes() end
local answer = {}
for _, lane in ipairs(names) do
  local waits = tallied(lane, 'apart')
  for band = 0, 10 do
    local line = queue .. SEP .. string.format('%02d', band) .. SEP .. lane
    waits = waits + redis.call('ZLEXCOUNT', waiting, '[' .. line .. GATE_MARK, '(' .. line .. '\32')
  end
  local found = redis.call('HMGET', policies, 'a' .. SEP .. queue .. SEP .. lane, 'w' .. SEP .. lane)
  local adjusted = found[1] and cmsgpack.unpack(found[1]) or {}
  local weight = adjusted.weight or tonumber(found[2] or 1)
  answer[#answer + 1] = {
    lane, waits, tonumber(redis.call('HGET', running, 'l' .. SEP .. queue .. SEP .. lane) or 0), tallied(lane, 'delayed'),
    tallied(lane, 'completed'), tallied(lane, 'failed'), tallied(lane, 'cancelled'), tallied(lane, 'resting'),
    math.floor(weight * 1000 + 0.5), adjusted.paused and 1 or 0,
  }
end
return answer
