-- Names of caps and rates: of a queue, of queues that share one, of a lane, of a gate (in all queues).
local function queue_limit(queue) return 'q' .. SEP .. queue end
local function share_limit(share) return 's' .. SEP .. share end
local function lane_limit(queue, lane) return 'l' .. SEP .. queue .. SEP .. lane end
local function gate_limit(lane, gate) return 'g' .. SEP .. lane .. SEP .. gate end

-- What sleeps until a place under a cap is free (or a paused lane goes on): `name`, then Q and a queue, or L and a
-- lane or gate. A cap has few sleepers: a queue or the queues of a share, a lane or gate in each band.
local function sleep_for(name, sleeper)
  redis.call('ZADD', asleep, 0, name .. SEP .. sleeper)
end

-- The queues in which something woke are in `woken`.
local woken = {}

local function wake_sleepers(name)
  local sleepers = redis.call('ZRANGEBYLEX', asleep, first_of(name), last_of(name))
  for _, member in ipairs(sleepers) do
    local kind, what = string.sub(member, #name + 2, #name + 2), string.sub(member, #name + 3)
    redis.call('ZREM', asleep, member)
    if kind == 'L' then
      if wake_line(what) then woken[queue_of(what)] = true end
    elseif redis.call('ZRANGEBYLEX', order, first_of(what), last_of(what), 'LIMIT', 0, 1)[1] then
      make_ready(what)
      woken[what] = true
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

-- The caps and rates that a job starts under.
local function limits_of(queue, lane, gate)
  local rules, mine = rules_of(queue), rules_of_lane(queue, lane)
  local all = {
    { name = rules.share and share_limit(rules.share) or queue_limit(queue), cap = cap_in(rules, 'cap'), rate = rate_in(rules, 'rate') },
    {
      name = lane_limit(queue, lane),
      cap = cap_in(mine, 'cap') or (not mine.cap and cap_in(rules, 'lane_cap')),
      rate = rate_in(mine, 'rate') or (mine.rate == nil and rate_in(rules, 'lane_rate')),
    },
  }
  if gate ~= '' then
    local cap = string.sub(gate, 1, 4) == 'one:' and 1 or cap_in(rules, 'gate_cap')
    all[3] = { name = gate_limit(lane, gate), cap = cap, rate = rate_in(rules, 'gate_rate') }
  end
  return all
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

-- Starts that have left the window go with the next one; a few at a time, which is more than come.
local OLD_STARTS = 20

local function log_start(name, id, token, per_ms, at)
  local upto = '(' .. name .. SEP .. string.format('%013d', now - per_ms) .. '\32'
  local old = redis.call('ZRANGEBYLEX', starts, first_of(name), upto, 'LIMIT', 0, OLD_STARTS)
  if old[1] then redis.call('ZREM', starts, unpack(old)) end
  redis.call('ZADD', starts, 0, start_place(name, at or now, id, token))
  redis.call('ZADD', expiries, (at or now) + per_ms, 'R' .. per_ms .. SEP .. name)
end
