-- Lease one job to the owner: what the fetch of a line and of a suspect have in common.
local reply, given, owned, saved = { now, -1, {}, 0, '' }, {}, {}, {}

-- What stands in a line and does not wait (it runs, or was settled) was put there by somebody else: it is not given
-- a second time. Its record stays, and an event tells of it.
local FORGED = '{"error_type":"ForgedMessage","error_code":"forged","error_message":"a job that did not wait was put into a line","reason":"a job that did not wait was put into a line"}'

local function stands_rightly(record, id)
  if record[STATE] == 'waiting' then return true end
  tell(record, id, 'failed', 0, record[DELIVERIES], '', record[READY], 0, FORGED)
  return false
end

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
  local packed, payload, place = cmsgpack.pack(record), payload_of(creation), held_place(record, id)
  -- Nothing fails from here on: a job is given whole or not at all.
  count_active(record, 1)
  local n, m = #reply, #saved
  saved[m + 1], saved[m + 2] = id, packed
  reply[n + 1], reply[n + 2], reply[n + 3] = id, packed, payload
  owned[#owned + 1], owned[#owned + 2] = 0, place
  given[#given + 1] = id
end

local function write_gifts()
  for i = 1, #saved, 1000 do
    redis.call('HSET', meta, unpack(saved, i, math.min(i + 999, #saved)))
    redis.call('ZADD', held, unpack(owned, i, math.min(i + 999, #owned)))
  end
end
