-- What is known of a job, as a packed list in the hash `meta`. The payload is kept apart: it is
-- written once, however often the record changes.
local STATE, QUEUE, ACTOR, LANE, PRIORITY, SEQUENCE, CREATED, MAX_ATTEMPTS, ATTEMPTS, DELIVERIES, READY, DUE,
  STARTED, FINISHED, OWNER, LOST, INTERRUPTIONS, SETTLED, DEAD_LETTER =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19

-- The record, or nil when there is none or it is no record of ours.
local function load_record(id)
  local packed = redis.call('HGET', meta, id)
  if not packed then return nil end
  local readable, record = pcall(cmsgpack.unpack, packed)
  if readable and type(record) == 'table' and #record == DEAD_LETTER then return record end
  return nil
end

local function save_record(id, record)
  local packed = cmsgpack.pack(record)
  redis.call('HSET', meta, id, packed)
  return packed
end
