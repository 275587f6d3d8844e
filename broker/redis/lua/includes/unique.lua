-- Who holds a unique name: a packed id, mode and end (0: none).
local function unique_holder(name)
  local packed = redis.call('HGET', unique, name)
  if not packed then return nil end
  local readable, entry = pcall(cmsgpack.unpack, packed)
  if not readable or type(entry) ~= 'table' or type(entry[3]) ~= 'number' then return nil end
  if entry[3] > 0 and entry[3] <= now then return nil end
  return entry
end

local function take_unique(name, id, mode, ends)
  redis.call('HSET', unique, name, cmsgpack.pack({ id, mode, ends }))
  if ends > 0 then redis.call('ZADD', expiries, ends, 'U' .. name) end
end

-- At its end a job lets go of its name, unless the name is held for a time of its own.
local function release_unique(record, id, at_end)
  local name, mode = record[UNIQUE], record[UNIQUE_MODE]
  if name == '' then return end
  if at_end and mode == 'throttle' and record[UNIQUE_TTL] > 0 then return end
  if not at_end and (mode == 'until_finished' or mode == 'throttle') then return end
  local entry = unique_holder(name)
  if entry and entry[1] == id then redis.call('HDEL', unique, name) end
end

-- A job that did not start after all, or runs again, holds its name again, for what is left of the time it had
-- when it was made. False when another one holds it.
local function retake_unique(record, id)
  local name, ttl = record[UNIQUE], record[UNIQUE_TTL]
  local ends = ttl > 0 and record[CREATED] + ttl or 0
  if name == '' or (ends > 0 and ends <= now) then return true end
  local holder = unique_holder(name)
  if holder then return holder[1] == id end
  take_unique(name, id, record[UNIQUE_MODE], ends)
  return true
end
