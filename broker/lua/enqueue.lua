-- PURPOSE: Accept jobs in order. An id that is there, or was settled just now, is not added again.
-- KEYS: meta, payload, waiting, ready, delayed, clock, markers, sequence, events, wake...
-- ARGV: events_cap, job...
-- RETURNS: for each job 1 (created) or 0 (the id was there)
-- EVENTS: none; a job has no event before its first attempt
-- OOM: refused
-- INCLUDE: clock, record, places, line_up
-- A job is packed as id, queue, actor, lane, priority, max attempts, delay, run at (or -1), payload, the
-- number of its queue's wake key and its dead-letter queue.
local UNREAD, FEW = 50000, 1000
local backlog = redis.call('XLEN', events)
if backlog >= math.min(UNREAD, tonumber(events_cap)) then
  if #redis.call('XINFO', 'GROUPS', events) == 0 then
    -- Nobody reads events here (the audit is left out), so nobody can lose them.
    redis.call('XTRIM', events, 'MAXLEN', '~', FEW)
  elseif backlog >= tonumber(events_cap) then
    return redis.error_reply('FULL the event stream has reached its cap; no reader keeps up with it')
  end
end
local count = #ARGV - first_job + 1
local number = redis.call('INCRBY', sequence, count) - count
local answers, woken = {}, {}
for i = 1, count do
  local job = cmsgpack.unpack(ARGV[first_job + i - 1])
  local id = job[1]
  local due = job[8] >= 0 and job[8] or now + job[7]
  local marked = redis.call('ZSCORE', markers, id)
  if (marked and tonumber(marked) > now) or redis.call('HEXISTS', meta, id) == 1 then
    answers[i] = 0
  else
    local record = { 'waiting', job[2], job[3], job[4], job[5], number + i, now, job[6], 0, 0, now, 0, 0, 0, '', 0, 0, 0, job[11] }
    redis.call('HSET', payload, id, job[9])
    if due > now then
      local head = redis.call('ZSCORE', clock, job[2])
      postpone(record, id, due)
      -- Idle workers sleep until the earliest due time they know of: a new earliest must wake one.
      if not head or due < tonumber(head) then woken[job[10]] = true end
    else
      line_up(record, id)
      woken[job[10]] = true
    end
    save_record(id, record)
    answers[i] = 1
  end
end
for index in pairs(woken) do
  local wake = KEYS[first_wake + index - 1]
  if redis.call('LLEN', wake) == 0 then redis.call('LPUSH', wake, 1) end
end
return answers
