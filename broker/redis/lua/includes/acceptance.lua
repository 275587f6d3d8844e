-- Jobs that follow from a verdict are accepted in its step. Enqueue has the same, written out for its usual case.
local function accept(id, packed, payload, place)
  local description = cmsgpack.unpack(packed)
  local queue, run_at, gate = description[1], description[13], description[4]
  local due = run_at >= 0 and run_at or now + description[12]
  if due <= now then due = 0 elseif due > LAST_TIME then due = LAST_TIME end
  local band = redis.call('HEXISTS', policies, 'b' .. SEP .. queue) == 1 and 0 or description[5]
  local known = redis.call('ZSCORE', markers, id)
  if known and tonumber(known) > now then return end
  if redis.call('HSETNX', jobs, id, creation_of(packed, place, due, band, payload)) == 0 then return end
  if description[8] ~= '' then
    local _, goes_in = claim_unique(description[8], id, description[9], description[10])
    if not goes_in then return end
  end
  if due > 0 then
    local head = redis.call('ZSCORE', clock, queue)
    redis.call('ZADD', delayed, 0, timed_place(queue, due, id))
    redis.call('ZADD', clock, 'LT', due, queue)
    count(queue, description[3], 'delayed', 1)
    if not head or due < tonumber(head) then woken[queue] = true end
    return
  end
  local name = gate == '' and description[3] or description[3] .. GATE_MARK .. gate
  local line = queue .. SEP .. string.format('%02d', band) .. SEP .. name
  redis.call('ZADD', waiting, 0, line .. SEP .. string.format('%02d%013x', description[5], place) .. SEP .. id)
  if gate == '' then
    joined_lane(line, redis.call('HINCRBY', lines, line, 1), 1)
  else
    joined_gate(line)
  end
  -- Where all lines rest nobody is woken.
  if redis.call('ZSCORE', ready, queue) then woken[queue] = true end
end
