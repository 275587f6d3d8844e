-- A job whose record cannot be read must not stop its neighbours: it becomes a dead letter, payload kept. Whose it
-- was its place still says, or its creation; what it held (places under caps, a unique name) is free again.
local UNREADABLE = '{"error":{"type":"UnreadableRecord","message":"the record of this job could not be read"}}'
local RECOUNTED = 3000
local COUNTERS_LOOKED_AT = 50000

-- A record from the creation, or of a stranger when that cannot be read either; and whether it could be.
local function what_is_left(id, queue, lane)
  local creation = redis.call('HGET', jobs, id) or ''
  local stranger = { queue, 'unknown', lane or '', '', 5, 1, '', '', '', 0, 120000 }
  local pattern = new_record(stranger, now * 1000, 0, 0)
  local readable, record = pcall(record_of_creation, creation)
  for i, value in ipairs(pattern) do
    readable = readable and type(record[i]) == type(value)
  end
  if not readable then
    redis.call('HSET', jobs, id, creation_of(cmsgpack.pack(stranger), now * 1000, 0, 0, creation))
    record = pattern
  end
  record[QUEUE], record[LANE] = queue, lane or record[LANE]
  return record, readable
end

local function bury(record, id)
  redis.call('HSET', outcomes, id, UNREADABLE)
  finish(record, id, 'failed')
  save_record(id, record)
  tell(record, id, 'failed', 0, 0, '', now, now, '')
end

-- One that was taken out of its line.
local function set_aside(id, queue, lane)
  bury(what_is_left(id, queue, lane), id)
end

local function set_aside_in_line(member)
  local line, id = string.match(member, '^(.-\31..\31[^\31]*)\31[^\31]*\31([^\31]*)$')
  if redis.call('ZREM', waiting, member) == 0 or not line then return end
  one_less_in(line)
  set_aside(id, queue_of(line), lane_of(line))
end

local function set_aside_apart(member)
  local queue, kind, lane, id = string.match(member, '^(.-)\31(.)\31[^\31]*\31([^\31\30]*)[^\31]*\31([^\31]*)$')
  if redis.call('ZREM', apart, member) == 0 or not queue then return end
  count(queue, lane, 'apart', -1)
  if kind == 'h' then
    redis.call('ZREM', timers, 'J' .. queue .. SEP .. id)
    count(queue, lane, 'resting', -1)
  end
  set_aside(id, queue, lane)
end

-- One that is held by itself, of which only the timer is known.
local function set_aside_held_back(queue, id)
  local from = first_of(queue)
  while true do
    local members = redis.call('ZRANGEBYLEX', apart, from, last_of(queue), 'LIMIT', 0, 1000)
    for _, member in ipairs(members) do
      if id_of(member) == id then return set_aside_apart(member) end
    end
    if #members < 1000 then return end
    from = '(' .. members[#members]
  end
end

local function lane_by_any_means(id)
  local record = load_record(id)
  if record then return record[LANE] end
  local readable, made = pcall(record_of_creation, redis.call('HGET', jobs, id) or '')
  return readable and made[LANE]
end

-- A delayed job's tenant is lost with its creation: whose count is too high is found by counting, once a call.
local to_recount, may_recount = {}, RECOUNTED

local function recount_delayed(queue)
  local members = redis.call('ZRANGEBYLEX', delayed, first_of(queue), last_of(queue), 'LIMIT', 0, may_recount)
  may_recount = may_recount - #members
  if may_recount <= 0 or redis.call('HLEN', tally) > COUNTERS_LOOKED_AT then return end -- one too many matters little then
  local there, cursor = {}, '0'
  for _, member in ipairs(members) do
    local lane = lane_by_any_means(id_of(member))
    if lane then there[lane] = (there[lane] or 0) + 1 end
  end
  repeat
    local found = redis.call('HSCAN', tally, cursor, 'COUNT', 1000)
    for i = 1, #found[2], 2 do
      local of, lane = string.match(found[2][i], '^(.-)\31(.*)\31delayed$')
      if of == queue then
        if there[lane] then
          redis.call('HSET', tally, found[2][i], there[lane])
        else
          redis.call('HDEL', tally, found[2][i])
        end
      end
    end
    cursor = found[1]
  until cursor == '0'
end

local function recount_what_was_lost()
  if not next(to_recount) then return end
  write_counts()
  for queue in pairs(to_recount) do recount_delayed(queue) end
  to_recount = {}
end

local function set_aside_delayed(id, queue)
  local record, readable = what_is_left(id, queue)
  if readable then count_job(record, 'delayed', -1) else to_recount[queue] = true end
  bury(record, id)
end

-- One that a process holds. Under which share it ran only its record knew: it is the queue's of now.
local function set_aside_active(member)
  local queue, id = string.match(member, '^.-\31(.-)\31([^\31]*)$')
  if redis.call('ZREM', held, member) == 0 or not queue then return end
  local record, readable = what_is_left(id, queue)
  record[SHARE] = rules_of(queue).share or ''
  if readable then
    count_active(record, -1)
  else
    add_to(running, queue_limit(queue), -1)
    if record[SHARE] ~= '' then count_under(share_limit(record[SHARE]), -1) end
  end
  freed[#freed + 1] = record
  over[#over + 1] = id
  bury(record, id)
end
