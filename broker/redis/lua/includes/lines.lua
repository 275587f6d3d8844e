-- Lines: the jobs of one queue, band, lane and gate. A lane with jobs that may pass its gates is awake (in `order`)
-- or rests (its count is over 2^40); so does a gate. Start-time fair queueing between the lanes of a band: the one
-- with the lowest virtual time is served, and one that wakes begins no earlier than its band (Goyal, Vin, Cheng
-- 1996). The gates of a lane take turns, one job each.
local function band_of(line) return string.match(line, '^(.-\31..)\31') end
local function queue_of(line) return string.match(line, '^(.-)\31') end
local function lane_of(line) return string.match(line, '^.-\31..\31([^\30]*)') end
local function gate_of(line) return string.match(line, '\30(.*)$') or '' end
-- The line of the lane itself: what goes through no gate, under whose name the lane is counted.
local function whole_lane(line) return string.match(line, '^[^\30]*') end

-- A queue with an awake lane is ready, unless all of it stands still.
local function make_ready(queue)
  if redis.call('ZSCORE', ready, queue) then return end
  if redis.call('HEXISTS', policies, 'p' .. SEP .. queue) == 1 then return end
  local rest = redis.call('HGET', rests, queue)
  if rest and cmsgpack.unpack(rest)[1] > now then return end
  redis.call('ZADD', ready, 'NX', now_us, queue)
end

local function awaken(lane)
  local band = band_of(lane)
  local clock_values = redis.call('HMGET', clocks, lane, band)
  -- A moment before its band: of a thousand equal lanes most stand at the band's time, and a job that comes
  -- alone shall not wait for all of them.
  local vt = math.max(tonumber(clock_values[1] or 0), tonumber(clock_values[2] or 0) - 1, 0)
  redis.call('HSET', clocks, lane, string.format('%.0f', vt))
  redis.call('ZADD', order, 0, order_place(band, vt, lane_of(lane)))
  make_ready(queue_of(lane))
end

-- Take an awake lane out of the order.
local function fall_asleep(lane)
  local vt = tonumber(redis.call('HGET', clocks, lane) or 0)
  redis.call('ZREM', order, order_place(band_of(lane), vt, lane_of(lane)))
end

local function is_awake(n) return n > 0 and n < RESTING end

-- A lane has `more` jobs that may pass its gates, now `n` with the mark of rest.
local function joined_lane(lane, n, more)
  if n == more then
    awaken(lane)
  elseif n > RESTING then
    count(queue_of(lane), lane_of(lane), 'resting', more)
  end
end

local function left_lane(lane, fewer)
  local n = redis.call('HINCRBY', lines, lane, -fewer)
  if n == 0 then
    redis.call('HDEL', lines, lane)
    fall_asleep(lane)
  elseif n >= RESTING then
    count(queue_of(lane), lane_of(lane), 'resting', -fewer)
    if n == RESTING then
      redis.call('HDEL', lines, lane)
      redis.call('ZREM', timers, 'L' .. lane)
    end
  end
end

-- The gates of a lane by their turns.
local function turns_of(lane)
  return '[' .. lane .. GATE_MARK, '(' .. lane .. SEP
end

local function gate_place(lane, turn, gate)
  return lane .. GATE_MARK .. string.format('%014x', turn) .. SEP .. gate
end

local function last_turn(lane)
  local from, to = turns_of(lane)
  local last = redis.call('ZREVRANGEBYLEX', gates, to, from, 'LIMIT', 0, 1)[1]
  return last and tonumber(string.sub(last, #lane + 2, #lane + 15), 16)
end

-- A gate that wakes has its turn after all others. What goes through no gate takes turns with them as gate ''.
local function open_gate(line)
  local lane = whole_lane(line)
  local turn = last_turn(lane)
  if not turn then redis.call('ZADD', gates, 0, gate_place(lane, 0, '')) end
  turn = (turn or 0) + 1
  redis.call('ZADD', gates, 0, gate_place(lane, turn, gate_of(line)))
  redis.call('HSET', clocks, line, turn)
end

local function close_gate(line)
  local lane = whole_lane(line)
  redis.call('ZREM', gates, gate_place(lane, tonumber(redis.call('HGET', clocks, line) or 0), gate_of(line)))
  redis.call('HDEL', clocks, line)
  local from, to = turns_of(lane)
  if not redis.call('ZRANGEBYLEX', gates, from, to, 'LIMIT', 1, 1)[1] then redis.call('ZREMRANGEBYLEX', gates, from, to) end
end

-- An awake lane or gate rests; what will wake it is the caller's matter.
local function rest_line(line)
  local n = tonumber(redis.call('HGET', lines, line))
  local lane = whole_lane(line)
  redis.call('HINCRBY', lines, line, RESTING)
  count(queue_of(line), lane_of(line), 'resting', n)
  if lane == line then
    fall_asleep(line)
  else
    close_gate(line)
    left_lane(lane, n)
  end
end

-- End the rest of a lane or gate, whatever it was for; what still holds it back is found when it is met.
local function wake_line(line)
  local n = tonumber(redis.call('HGET', lines, line) or 0)
  if n < RESTING then return false end
  n = n - RESTING
  redis.call('ZREM', timers, 'L' .. line)
  count(queue_of(line), lane_of(line), 'resting', -n)
  if n == 0 then
    redis.call('HDEL', lines, line)
    return false
  end
  redis.call('HSET', lines, line, string.format('%.0f', n))
  local lane = whole_lane(line)
  if lane == line then
    awaken(line)
  else
    open_gate(line)
    joined_lane(lane, redis.call('HINCRBY', lines, lane, n), n)
  end
  return true
end

-- A line with a gate has one more job.
local function joined_gate(line)
  local n = redis.call('HINCRBY', lines, line, 1)
  if n > RESTING then
    count(queue_of(line), lane_of(line), 'resting', 1)
    return
  end
  if n == 1 then open_gate(line) end
  local lane = whole_lane(line)
  joined_lane(lane, redis.call('HINCRBY', lines, lane, 1), 1)
end

local function left_gate(line)
  local n = redis.call('HINCRBY', lines, line, -1)
  if n < RESTING then
    if n == 0 then
      redis.call('HDEL', lines, line)
      close_gate(line)
    end
    left_lane(whole_lane(line), 1)
    return
  end
  count(queue_of(line), lane_of(line), 'resting', -1)
  if n == RESTING then
    redis.call('HDEL', lines, line)
    redis.call('ZREM', timers, 'L' .. line)
  end
end

-- Put a waiting job into its line.
local function stand_in_line(record, id)
  local line = line_of(record)
  redis.call('ZADD', waiting, 0, waiting_place(record, id))
  if record[GATE] == '' then
    joined_lane(line, redis.call('HINCRBY', lines, line, 1), 1)
  else
    joined_gate(line)
  end
end

-- A job has left its line for another reason than to start.
local function one_less_in(line)
  if gate_of(line) == '' then left_lane(line, 1) else left_gate(line) end
end

local function step_out(record, id)
  if redis.call('ZREM', waiting, waiting_place(record, id)) == 1 then one_less_in(line_of(record)) end
end

-- Give a lane back what a job was charged that did not run after all.
local function refund(record)
  if record[CHARGE] <= 0 then return end
  local lane = whole_lane(line_of(record))
  local vt = tonumber(redis.call('HGET', clocks, lane) or 0)
  local lower = math.max(0, vt - record[CHARGE])
  record[CHARGE] = 0
  if is_awake(tonumber(redis.call('HGET', lines, lane) or 0)) then
    local band, name = band_of(lane), lane_of(lane)
    redis.call('ZREM', order, order_place(band, vt, name))
    redis.call('ZADD', order, 0, order_place(band, lower, name))
  end
  redis.call('HSET', clocks, lane, string.format('%.0f', lower))
end

-- The queue leaves `ready` when none of its lanes is awake.
local function leave_ready_when_idle(queue)
  if not redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then
    redis.call('ZREM', ready, queue)
  end
end
