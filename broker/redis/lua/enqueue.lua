-- PURPOSE: Accept jobs in order. An id that is there, or is remembered, is not added again; nor is a held unique name.
-- KEYS: jobs, meta, outcomes, progress, steps, logs, waiting, apart, lines, order, clocks, gates, ready, timers, rests, policies, unique, delayed, clock, markers, running, tally, totals, expiries, events, backlog, wake...
-- ARGV: events_cap, job...
-- RETURNS: for each job 1 (created), 0 (the id was there), the id that holds its unique name, or an id in brackets that made way for it
-- EVENTS: none; a job has no event before its first attempt
-- OOM: refused
-- INCLUDE: clock, record, places, counts, lines, standing, unique, notes, removal, replace
-- A job is three arguments: id, packed description, payload. The description holds queue, actor, lane, gate,
-- priority, attempts, dead-letter queue (or empty for the default), unique name, mode and ttl, memory of the
-- id, delay, run at (or -1) and the number of its queue's wake key.
local CHECK_EVERY = 16
local FEW = 1000

-- The stream may hold so many bytes for readers that are away; then new work is refused, never events lost.
if now_us % CHECK_EVERY < 1 or #ARGV > 4 then
  local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  local unread = first and tonumber(redis.call('GET', backlog) or 0) - tonumber(first[2][4]) or 0
  if unread >= tonumber(events_cap) then
    if #redis.call('XINFO', 'GROUPS', events) > 0 then
      return redis.error_reply('FULL the event stream holds ' .. unread .. ' bytes that no reader has dealt with')
    end
    -- Nobody reads events here (the audit is left out), so nobody can lose them.
    redis.call('XTRIM', events, 'MAXLEN', '~', FEW)
  end
end

-- The usual case is written out, because a function of an include costs as much as three commands when it
-- is made: a plain job with a new id goes into a line that is awake.
local answers, woken, joined, bands = {}, {}, {}, {}
-- Of many jobs the members of `waiting`, and how many joined each line, are written together: a call has
-- some hundred at most, and Lua takes some thousand arguments.
local members, newcomers, write_newcomers
if #ARGV > 4 then
  members, newcomers = {}, {}
  write_newcomers = function()
    if #members == 0 then return end
    redis.call('ZADD', waiting, unpack(members))
    for line, more in pairs(newcomers) do
      local n = redis.call('HINCRBY', lines, line, more)
      if n == more or n > RESTING then joined_lane(line, n, more) end
    end
    members, newcomers = {}, {}
  end
end

for a = first_job, #ARGV, 3 do
  local id, description = ARGV[a], cmsgpack.unpack(ARGV[a + 1])
  local queue, run_at = description[1], description[13]
  local place = now_us + #answers
  local due = run_at >= 0 and run_at or now + description[12]
  if due <= now then due = 0 elseif due > LAST_TIME then due = LAST_TIME end
  bands[queue] = bands[queue] or redis.call('HEXISTS', policies, 'b' .. SEP .. queue)
  local band = bands[queue] == 1 and 0 or description[5]
  local creation = struct.pack(PREFIX, place, due, band, #ARGV[a + 1]) .. ARGV[a + 1] .. ARGV[a + 2]
  local answer, goes_in = 1, false
  local known = redis.call('ZSCORE', markers, id)
  if (known and tonumber(known) > now) or redis.call('HSETNX', jobs, id, creation) == 0 then
    answer = 0
  elseif description[8] == '' then
    goes_in = true
  else
    if members then write_newcomers() end -- what makes way for it may be one of these
    answer, goes_in = claim_unique(description[8], id, description[9], description[10])
  end
  if goes_in and due > 0 then
    local head = redis.call('ZSCORE', clock, queue)
    redis.call('ZADD', delayed, 0, timed_place(queue, due, id))
    redis.call('ZADD', clock, 'LT', due, queue)
    count(queue, description[3], 'delayed', 1)
    -- Idle workers sleep until the earliest due time they know of: a new earliest must wake one.
    if not head or due < tonumber(head) then woken[queue] = description[14] end
  elseif goes_in then
    local gate = description[4]
    local name = gate == '' and description[3] or description[3] .. GATE_MARK .. gate
    local line = queue .. SEP .. string.format('%02d', band) .. SEP .. name
    local member = line .. SEP .. string.format('%02d%013x', description[5], place) .. SEP .. id
    if gate ~= '' then joined_gate(line) end
    if members then
      local n = #members
      members[n + 1], members[n + 2] = 0, member
      if gate == '' then newcomers[line] = (newcomers[line] or 0) + 1 end
    else
      redis.call('ZADD', waiting, 0, member)
      if gate == '' then
        local n = redis.call('HINCRBY', lines, line, 1)
        if n == 1 or n > RESTING then joined_lane(line, n, 1) end
      end
    end
    joined[queue] = description[14]
  end
  answers[#answers + 1] = answer
end
if members then write_newcomers() end
if books then write_counts() end
for queue, index in pairs(joined) do
  -- Where all lines rest nobody is woken.
  local wake_key = KEYS[first_wake + index - 1]
  if redis.call('LLEN', wake_key) == 0 and redis.call('ZSCORE', ready, queue) then redis.call('LPUSH', wake_key, 1) end
end
for _, index in pairs(woken) do
  local wake_key = KEYS[first_wake + index - 1]
  if redis.call('LLEN', wake_key) == 0 then redis.call('LPUSH', wake_key, 1) end
end
return answers
