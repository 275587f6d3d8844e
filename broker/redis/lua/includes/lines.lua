-- Lines: the jobs of one queue, band and lane (or gate of a lane). A line is awake (in `order`), rests (its
-- count is over 2^40) or is empty. Start-time fair queueing: the awake line with the lowest virtual time is
-- served, and a line that wakes begins no earlier than its band (Goyal, Vin, Cheng 1996).
local function band_of(line) return string.match(line, '^(.-\31..)\31') end
local function queue_of(line) return string.match(line, '^(.-)\31') end
local function lane_of(line) return string.match(line, '^.-\31..\31([^\30]*)') end
local function gate_of(line) return string.match(line, '\30(.*)$') or '' end
local function name_of(line) return string.match(line, '^.-\31..\31(.*)$') end

local function crowd_change(line, by)
  local gated = string.find(line, GATE_MARK, 1, true)
  if gated then
    local lane = string.sub(line, 1, gated - 1)
    if redis.call('HINCRBY', crowd, lane, by) == 0 then redis.call('HDEL', crowd, lane) end
  end
end

-- A queue with an awake line is ready, unless all of it stands still.
local function make_ready(queue)
  if redis.call('ZSCORE', ready, queue) then return end
  if redis.call('HEXISTS', policies, 'p' .. SEP .. queue) == 1 then return end
  local rest = redis.call('HGET', rests, queue)
  if rest and cmsgpack.unpack(rest)[1] > now then return end
  redis.call('ZADD', ready, 'NX', now_us, queue)
end

local function awaken(line)
  local band = band_of(line)
  local clock_values = redis.call('HMGET', clocks, line, band)
  -- A moment before its band: of a thousand equal lines most stand at the band's time, and a job that comes
  -- alone shall not wait for all of them.
  local vt = math.max(tonumber(clock_values[1] or 0), tonumber(clock_values[2] or 0) - 1, 0)
  redis.call('HSET', clocks, line, string.format('%.0f', vt))
  redis.call('ZADD', order, 0, order_place(band, vt, name_of(line)))
  crowd_change(line, 1)
  make_ready(queue_of(line))
end

-- Take an awake line out of the order.
local function fall_asleep(line)
  local vt = tonumber(redis.call('HGET', clocks, line) or 0)
  redis.call('ZREM', order, order_place(band_of(line), vt, name_of(line)))
  crowd_change(line, -1)
end

local function is_awake(n) return n > 0 and n < RESTING end

local function rest_line(line, n)
  fall_asleep(line)
  redis.call('HINCRBY', lines, line, RESTING)
  count(queue_of(line), lane_of(line), 'resting', n)
end

-- End the rest of a line, whatever it was for; what still holds it back is found when it is met.
local function wake_line(line)
  local n = tonumber(redis.call('HGET', lines, line) or 0)
  if n < RESTING then return end
  n = n - RESTING
  redis.call('ZREM', timers, 'L' .. line)
  count(queue_of(line), lane_of(line), 'resting', -n)
  if n > 0 then
    redis.call('HSET', lines, line, string.format('%.0f', n))
    awaken(line)
  else
    redis.call('HDEL', lines, line)
  end
end

-- A line has one more job, `n` with the mark of rest.
local function joined_line(line, n)
  if n == 1 then
    awaken(line)
  elseif n > RESTING then
    count(queue_of(line), lane_of(line), 'resting', 1)
  end
end

-- Put a waiting job into its line.
local function stand_in_line(record, id)
  local line = line_of(record)
  redis.call('ZADD', waiting, 0, waiting_place(record, id))
  joined_line(line, redis.call('HINCRBY', lines, line, 1))
end

-- Take a waiting job out of its line, for another reason than to start it.
local function step_out(record, id)
  local line = line_of(record)
  if redis.call('ZREM', waiting, waiting_place(record, id)) == 0 then return end
  local n = redis.call('HINCRBY', lines, line, -1)
  if n == 0 then
    redis.call('HDEL', lines, line)
    fall_asleep(line)
  elseif n >= RESTING then
    count_job(record, 'resting', -1)
    if n == RESTING then
      redis.call('HDEL', lines, line)
      redis.call('ZREM', timers, 'L' .. line)
    end
  end
end

-- Give a line back what a job was charged that did not run after all.
local function refund(record)
  if record[CHARGE] <= 0 then return end
  local line = line_of(record)
  local vt = tonumber(redis.call('HGET', clocks, line) or 0)
  local lower = math.max(0, vt - record[CHARGE])
  record[CHARGE] = 0
  if is_awake(tonumber(redis.call('HGET', lines, line) or 0)) then
    local band, name = band_of(line), name_of(line)
    redis.call('ZREM', order, order_place(band, vt, name))
    redis.call('ZADD', order, 0, order_place(band, lower, name))
  end
  redis.call('HSET', clocks, line, string.format('%.0f', lower))
end

-- The queue leaves `ready` when none of its lines is awake.
local function leave_ready_when_idle(queue)
  if not redis.call('ZRANGEBYLEX', order, first_of(queue), last_of(queue), 'LIMIT', 0, 1)[1] then
    redis.call('ZREM', ready, queue)
  end
end
