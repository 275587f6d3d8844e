-- PURPOSE: Keep the latest progress of jobs that their owner still holds.
-- KEYS: jobs, meta, progress
-- ARGV: owner, update...
-- RETURNS: how many were kept
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: record
-- Updates come in threes: id, delivery token, progress.
local kept = 0
for i = first_update, #ARGV, 3 do
  local record = load_record(ARGV[i])
  if record and record[STATE] == 'active' and record[OWNER] == owner and record[DELIVERIES] == tonumber(ARGV[i + 1]) then
    redis.call('HSET', progress, ARGV[i], ARGV[i + 2])
    kept = kept + 1
  end
end
return kept
