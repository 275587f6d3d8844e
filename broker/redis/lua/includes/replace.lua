-- The newest of one unique name wins: the job that has not started yet makes way. False: it cannot.
local function make_way(id)
  local record = load_record(id)
  if not record or record[LOST] > 0 then return false end
  if record[STATE] ~= 'waiting' and record[STATE] ~= 'delayed' then return false end
  step_away(record, id)
  forget({ id }, { now + record[MARKER] })
  return true
end

-- Take a unique name for a new job: the answer of enqueue, and whether the job goes in.
local function claim_unique(name, id, mode, ttl)
  local holder = unique_holder(name)
  local answer = 1
  if holder then
    if mode ~= 'debounce' and mode ~= 'latest' then
      redis.call('HDEL', jobs, id)
      return holder[1], false
    end
    if make_way(holder[1]) then answer = '(' .. holder[1] .. ')' end
  end
  take_unique(name, id, mode, ttl > 0 and now + ttl or 0)
  return answer, true
end
