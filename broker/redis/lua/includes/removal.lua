-- A job that leaves the store leaves a marker, so that an enqueue repeated later does not run it again.
local function forget(ids, until_ms)
  if #ids == 0 then return end
  for i = 1, #ids, 1000 do
    local last = math.min(i + 999, #ids)
    for _, hash in ipairs({ jobs, meta, outcomes, progress }) do redis.call('HDEL', hash, unpack(ids, i, last)) end
    if redis.call('EXISTS', steps, logs) > 0 then forget_notes({ unpack(ids, i, last) }) end
    local marks = {}
    for n = i, last do
      marks[#marks + 1], marks[#marks + 2] = until_ms[n], ids[n]
    end
    redis.call('ZADD', markers, unpack(marks))
  end
end

local function forget_markers(most)
  local old = redis.call('ZRANGEBYSCORE', markers, '-inf', now, 'LIMIT', 0, most)
  if #old > 0 then redis.call('ZREM', markers, unpack(old)) end
  return #old
end

-- Remove settled jobs by their places in one of the sets.
local function remove_settled(set, word, members)
  if #members == 0 then return end
  local ids, until_ms = {}, {}
  for i, member in ipairs(members) do
    local queue, lane, memory, id = string.match(member, '^(.-)\31%d+\31(.-)\31(%d+)\31(.*)$')
    ids[i], until_ms[i] = id, now + tonumber(memory)
    count(queue, lane, word, -1)
    if set == failed then
      local record = load_record(id)
      local letters, at = record and record[DEAD_LETTER] or 'dead-letter', string.match(member, '^.-\31(%d+)\31')
      redis.call('ZREM', dead, letters .. SEP .. at .. SEP .. id)
    end
  end
  for i = 1, #members, 1000 do redis.call('ZREM', set, unpack(members, i, math.min(i + 999, #members))) end
  forget(ids, until_ms)
end
