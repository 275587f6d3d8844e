-- PURPOSE: Keep the latest progress of active jobs.
-- KEYS: meta, progress
-- ARGV: update...
-- RETURNS: how many were kept
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: record
-- Updates come in pairs: id, progress.
local kept = 0
for i = first_update, #ARGV, 2 do
  local record = load_record(ARGV[i])
  if record and record[STATE] == 'active' then
    redis.call('HSET', progress, ARGV[i], ARGV[i + 1])
    kept = kept + 1
  end
end
return kept
