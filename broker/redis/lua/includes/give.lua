-- Lease one job to the owner: what the fetch of a line and of a suspect have in common.
local reply, given, owned, saved = { now, -1, {}, 0, '' }, {}, {}, {}

local function give(record, id, creation, charge, share, rated)
  record[STATE] = 'active'
  record[ATTEMPTS] = record[ATTEMPTS] + 1
  record[DELIVERIES] = record[DELIVERIES] + 1
  record[OWNER] = owner
  record[STARTED] = now
  record[CHARGE] = charge
  record[SHARE] = share
  record[DUE] = 0
  record[REASON] = ''
  record[RATED] = ''
  for name, per_ms in pairs(rated) do
    log_start(name, id, record[DELIVERIES], per_ms)
    record[RATED] = record[RATED] .. name .. '\29'
  end
  if record[UNIQUE] ~= '' then release_unique(record, id, false) end
  count_active(record, 1)
  local packed, n, m = cmsgpack.pack(record), #reply, #saved
  saved[m + 1], saved[m + 2] = id, packed
  reply[n + 1], reply[n + 2], reply[n + 3] = id, packed, payload_of(creation)
  owned[#owned + 1], owned[#owned + 2] = 0, held_place(record, id)
  given[#given + 1] = id
end

-- A job whose record cannot be read must not stop its neighbours: it becomes a dead letter, payload kept.
local UNREADABLE = '{"error":{"type":"UnreadableRecord","message":"the record of this job could not be read"}}'

local function set_aside(id, queue)
  local description = { queue, 'unknown', '', '', 5, 1, '', '', '', 0, 120000 }
  local record = new_record(description, now * 1000, 0, 0)
  local readable = pcall(record_of_creation, redis.call('HGET', jobs, id) or '')
  if not readable then
    local garbage = redis.call('HGET', jobs, id) or ''
    redis.call('HSET', jobs, id, creation_of(cmsgpack.pack(description), now * 1000, 0, 0, garbage))
  end
  redis.call('HSET', outcomes, id, UNREADABLE)
  finish(record, id, 'failed')
  save_record(id, record)
  tell(record, id, 'failed', 0, 0, '', now, now, '')
end

local function write_gifts()
  for i = 1, #saved, 1000 do
    redis.call('HSET', meta, unpack(saved, i, math.min(i + 999, #saved)))
    redis.call('ZADD', held, unpack(owned, i, math.min(i + 999, #owned)))
  end
end
