-- PURPOSE: Say what a worker process holds.
-- KEYS: jobs, meta, held
-- ARGV: owner
-- RETURNS: id, delivery token and 1 if it is to be cancelled, of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, places
local answer = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner))) do
  local id = id_of(member)
  local record = load_record(id)
  if record and record[STATE] == 'active' and record[OWNER] == owner then
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = id, record[DELIVERIES], record[CANCEL]
  end
end
return answer
