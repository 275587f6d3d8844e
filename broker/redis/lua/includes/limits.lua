-- Names of caps and rates: of a queue, of queues that share one, of a lane, of a gate (in all queues).
local function queue_limit(queue) return 'q' .. SEP .. queue end
local function share_limit(share) return 's' .. SEP .. share end
local function lane_limit(queue, lane) return 'l' .. SEP .. queue .. SEP .. lane end
local function gate_limit(lane, gate) return 'g' .. SEP .. lane .. SEP .. gate end

-- What sleeps until a place under a cap is free (or a paused lane goes on).
local function sleep_for(name, sleeper)
  local list = redis.call('HGET', asleep, name)
  list = list and cmsgpack.unpack(list) or {}
  for _, other in ipairs(list) do
    if other == sleeper then return end
  end
  list[#list + 1] = sleeper
  redis.call('HSET', asleep, name, cmsgpack.pack(list))
end

local function wake_sleepers(name)
  local list = redis.call('HGET', asleep, name)
  if not list then return end
  redis.call('HDEL', asleep, name)
  for _, sleeper in ipairs(cmsgpack.unpack(list)) do
    local what = string.sub(sleeper, 2)
    if string.sub(sleeper, 1, 1) == 'L' then
      wake_line(what)
    elseif redis.call('ZRANGEBYLEX', order, first_of(what), last_of(what), 'LIMIT', 0, 1)[1] then
      make_ready(what)
    end
  end
end

-- The caps a job counts under; a share may have been given another name since it started.
local function caps_of(record)
  local names = { queue_limit(record[QUEUE]), lane_limit(record[QUEUE], record[LANE]) }
  if record[SHARE] ~= '' then names[#names + 1] = share_limit(record[SHARE]) end
  if record[GATE] ~= '' then names[#names + 1] = gate_limit(record[LANE], record[GATE]) end
  return names
end

local function count_active(record, n)
  count(record[QUEUE], record[LANE], 'active', n)
  if record[SHARE] ~= '' then count_under(share_limit(record[SHARE]), n) end
  if record[GATE] ~= '' then count_under(gate_limit(record[LANE], record[GATE]), n) end
end

-- Starts under a rate: an exact log of the window, so that no stretch of time ever holds more.
local function rate_left(name, most, per_ms)
  local used = redis.call('ZLEXCOUNT', starts, '(' .. name .. SEP .. string.format('%013d', now - per_ms) .. '\32', last_of(name))
  return most - used
end

local function rate_free_at(name, most, per_ms)
  local member = redis.call('ZREVRANGEBYLEX', starts, last_of(name), first_of(name), 'LIMIT', most - 1, 1)[1]
  return member and tonumber(string.sub(member, #name + 2, #name + 14)) + per_ms or now
end

local function start_place(name, at, id, token)
  return timed_place(name, at, token .. SEP .. id)
end

local function log_start(name, id, token, per_ms)
  redis.call('ZADD', starts, 0, start_place(name, now, id, token))
  redis.call('ZADD', expiries, now + per_ms, 'R' .. per_ms .. SEP .. name)
end
