-- PURPOSE: Keep lines that running jobs logged, the newest ones of each attempt.
-- KEYS: jobs, meta, logs
-- ARGV: owner, most_bytes, most_attempts, chunk...
-- RETURNS: how many chunks were taken
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: record, notes
-- A chunk is six arguments: id, delivery token, attempt, number within the delivery, how many lines it has, the
-- lines. A delivery that has ended may still add to its own lines; nobody adds to those of another's.
local taken = 0
for i = first_chunk, #ARGV, 6 do
  local id, token = ARGV[i], tonumber(ARGV[i + 1])
  local record = load_record(id)
  local newest = record and record[DELIVERIES] or 0
  local foreign = record and token == newest and record[STATE] == 'active' and record[OWNER] ~= owner
  if record and token >= 1 and token <= newest and not foreign then
    append_log(id, token, tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5], tonumber(most_bytes), tonumber(most_attempts))
    taken = taken + 1
  end
end
return taken
