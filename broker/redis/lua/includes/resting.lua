-- Rests of scopes: a queue, a lane of it, a gate of that. What comes later finds its scope at rest.
local function scope_of(record, rests_what)
  if rests_what == 'queue' then return record[QUEUE] end
  local lane = record[QUEUE] .. SEP .. record[LANE]
  return record[GATE] ~= '' and lane .. SEP .. record[GATE] or lane
end

-- A rest in drips is over for so many jobs, and then on until they have asked, or this long; and it ends when nobody
-- came. It is { until, reason, how many, how many were started and have not asked, its place among those that wait }.
local ANSWER_MS = 1000
local DRIPS_KEPT_MS = 10000

-- The lane or gate of a scope in each band.
local function lines_of(scope)
  local queue, lane, gate = string.match(scope, '^([^\31]*)\31?([^\31]*)\31?(.*)$')
  local found = {}
  for band = 0, 10 do
    local line = queue .. SEP .. string.format('%02d', band) .. SEP .. lane
    found[#found + 1] = gate == '' and line or line .. GATE_MARK .. gate
  end
  return found
end

local function rest_lines(scope, until_ms)
  for _, line in ipairs(lines_of(scope)) do
    if is_awake(tonumber(redis.call('HGET', lines, line) or 0)) then
      rest_line(line)
      if until_ms then redis.call('ZADD', timers, until_ms, 'L' .. line) end
    end
  end
  leave_ready_when_idle(string.match(scope, '^[^\31]*'))
end

local function put_to_rest(scope, until_ms)
  if string.find(scope, SEP, 1, true) then
    rest_lines(scope, until_ms)
  else
    redis.call('ZREM', ready, scope)
  end
end

local function rest_scope(scope, until_ms, reason)
  local old = redis.call('HGET', rests, scope)
  if old and cmsgpack.unpack(old)[1] >= until_ms then return end
  redis.call('HSET', rests, scope, cmsgpack.pack({ until_ms, reason }))
  redis.call('ZADD', timers, until_ms, 'S' .. scope)
  put_to_rest(scope, until_ms)
end

local function wake_queue(queue)
  if redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then make_ready(queue) end
end

local function wake_what_rests(scope)
  if string.find(scope, SEP, 1, true) then
    for _, line in ipairs(lines_of(scope)) do wake_line(line) end
  else
    wake_queue(scope)
  end
end

-- The rest of a scope is over.
local function end_rest(scope)
  redis.call('HDEL', rests, scope)
  redis.call('ZREM', timers, 'S' .. scope)
  wake_what_rests(scope)
end
