-- Rests of scopes: a queue, a lane of it, a gate of that. A line that comes later finds its scope at rest.
local function scope_of(record, rests_what)
  if rests_what == 'queue' then return record[QUEUE] end
  local lane = record[QUEUE] .. SEP .. record[LANE]
  return record[GATE] ~= '' and lane .. SEP .. record[GATE] or lane
end

-- The lines of a scope that have jobs: found one by one in `waiting`, at most so many.
local MOST_LINES = 1000

local function lines_of(scope)
  local queue, lane, gate = string.match(scope, '^([^\31]*)\31?([^\31]*)\31?(.*)$')
  local found = {}
  for band = 0, 10 do
    local line = queue .. SEP .. string.format('%02d', band) .. SEP .. lane
    if gate ~= '' then
      found[#found + 1] = line .. GATE_MARK .. gate
    else
      found[#found + 1] = line
      local from = '[' .. line .. GATE_MARK
      while #found < MOST_LINES do
        local member = redis.call('ZRANGEBYLEX', waiting, from, '(' .. line .. SEP, 'LIMIT', 0, 1)[1]
        if not member then break end
        local gated = string.match(member, '^(.-\31..\31[^\31]*)')
        found[#found + 1] = gated
        from = '[' .. gated .. '\32'
      end
    end
  end
  return found
end

local function rest_lines(scope, until_ms)
  for _, line in ipairs(lines_of(scope)) do
    local n = tonumber(redis.call('HGET', lines, line) or 0)
    if is_awake(n) then
      rest_line(line, n)
      if until_ms then redis.call('ZADD', timers, until_ms, 'L' .. line) end
    end
  end
  leave_ready_when_idle(string.match(scope, '^[^\31]*'))
end

local function rest_scope(scope, until_ms, reason)
  local old = redis.call('HGET', rests, scope)
  if old and cmsgpack.unpack(old)[1] >= until_ms then return end
  redis.call('HSET', rests, scope, cmsgpack.pack({ until_ms, reason }))
  redis.call('ZADD', timers, until_ms, 'S' .. scope)
  if string.find(scope, SEP, 1, true) then
    rest_lines(scope, until_ms)
  else
    redis.call('ZREM', ready, scope)
  end
end

-- The rest of a scope is over.
local function end_rest(scope)
  redis.call('HDEL', rests, scope)
  redis.call('ZREM', timers, 'S' .. scope)
  if string.find(scope, SEP, 1, true) then
    for _, line in ipairs(lines_of(scope)) do wake_line(line) end
  elseif redis.call('ZRANGEBYLEX', order, first_of(scope), last_of(scope), 'LIMIT', 0, 1)[1] then
    make_ready(scope)
  end
end

-- The lines of a whole queue that rest, at most so many; the others wake when they are met or their time comes.
local function lines_that_rest(queue)
  local found, from = {}, first_of(queue)
  for _ = 1, MOST_LINES do
    local member = redis.call('ZRANGEBYLEX', waiting, from, last_of(queue), 'LIMIT', 0, 1)[1]
    if not member then break end
    local line = string.match(member, '^(.-\31..\31[^\31]*)')
    if tonumber(redis.call('HGET', lines, line) or 0) >= RESTING then found[#found + 1] = line end
    from = '[' .. line .. '\32'
  end
  return found
end
