-- What is known of a job. Its creation (`jobs`: a binary prefix, the description that Python packed, the
-- payload) is written once and says all there is until its first change; from then on a packed list in
-- `meta` says it, and only the payload is still read from the creation.
-- BEGUN (1) is there once a run was held or cut short: it has begun, though no attempt was spent.
-- The loader puts their numbers in place of these names, because Lua allows a function 200 locals.
-- FIELDS: STATE, QUEUE, ACTOR, LANE, GATE, PRIORITY, PLACE, CREATED, MAX_ATTEMPTS, DEAD_LETTER, UNIQUE, UNIQUE_MODE, UNIQUE_TTL, MARKER, ATTEMPTS, DELIVERIES, READY, DUE, STARTED, FINISHED, OWNER, LOST, INTERRUPTIONS, SETTLED, CANCEL, CHARGE, BAND, SHARE, RATED, REASON, BEGUN

-- Place in microseconds (7 bytes), due time in ms or 0 (6), band (1), length of the description (2).
local PREFIX = '>I7I6BI2'
local PREFIX_BYTES = 16

local function creation_of(description, place, due, band, payload_bytes)
  return struct.pack(PREFIX, place, due, band, #description) .. description .. payload_bytes
end

local function new_record(d, place, due, band)
  local created = math.floor(place / 1000)
  return {
    due > 0 and 'delayed' or 'waiting', d[1], d[2], d[3], d[4], d[5], place, created, d[6],
    d[7] == '' and 'dead-letter' or d[7], d[8], d[9], d[10], d[11], 0, 0, due > 0 and 0 or created, due, 0, 0, '',
    0, 0, 0, 0, 0, band, '', '', '',
  }
end

local function record_of_creation(creation)
  local place, due, band, length = struct.unpack(PREFIX, creation)
  local description = cmsgpack.unpack(string.sub(creation, PREFIX_BYTES + 1, PREFIX_BYTES + length))
  return new_record(description, place, due, band)
end

local function payload_of(creation)
  if not creation or #creation < PREFIX_BYTES then return creation or '' end -- it cannot be read, which Python says
  local length = struct.unpack('>I2', creation, PREFIX_BYTES - 1)
  return string.sub(creation, PREFIX_BYTES + length + 1)
end

-- The record from what the two hashes hold, or nil when there is none or it is no record of ours. A newer release
-- may know more fields than this one: they stay behind the last one as they are.
local function record_from(packed, creation)
  local readable, record
  if packed then
    readable, record = pcall(cmsgpack.unpack, packed)
    if readable and type(record) == 'table' and #record >= REASON then return record end
  elseif creation then
    readable, record = pcall(record_of_creation, creation)
    if readable and #record >= REASON then return record end
  end
  return nil
end

local function load_record(id)
  local packed = redis.call('HGET', meta, id)
  return record_from(packed, not packed and redis.call('HGET', jobs, id))
end

local function save_record(id, record)
  local packed = cmsgpack.pack(record)
  redis.call('HSET', meta, id, packed)
  return packed
end
