-- PURPOSE: Count the jobs of queues by state. Counts come from the sets themselves, so they cannot drift.
-- KEYS: meta, waiting, delayed, active, completed, failed, cancelled, dead, totals
-- ARGV: queue...
-- RETURNS: for each queue waiting, delayed, active, completed, failed, cancelled, dead letters, completed ever, failed ever, retries, age of the oldest waiting job in ms or -1
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, record, places
local reply = {}
for i = first_queue, #ARGV do
  local queue = ARGV[i]
  local row = {}
  for n, set in ipairs({ waiting, delayed, active, completed, failed, cancelled, dead }) do
    row[n] = redis.call('ZLEXCOUNT', set, first_of(queue), last_of(queue))
  end
  for n, total in ipairs({ 'completed', 'failed', 'retries' }) do
    row[7 + n] = tonumber(redis.call('HGET', totals, queue .. SEP .. total) or 0)
  end
  local oldest = -1
  if row[1] > 0 then
    -- The head of each priority is the oldest of it.
    for priority = 1, 10 do
      local band = queue .. SEP .. SEP .. string.format('%02d', priority)
      local head = redis.call('ZRANGEBYLEX', waiting, '[' .. band, '(' .. band .. 'g', 'LIMIT', 0, 1)[1]
      if head then oldest = math.max(oldest, now - load_record(id_of(head))[READY]) end
    end
  end
  row[11] = oldest
  reply[#reply + 1] = row
end
return reply
