-- PURPOSE: Keep what a running job has noted under a name, for its next run; in place of what was there.
-- KEYS: jobs, meta, steps
-- ARGV: owner, id, token, stays, name, outcome
-- RETURNS: 1, or 0 when this delivery is not the owner's any more
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: record, notes
-- `stays` is 1 for what is kept also when the job is run again from its start.
local record = load_record(id)
if not record or record[STATE] ~= 'active' or record[OWNER] ~= owner or record[DELIVERIES] ~= tonumber(token) then
  return 0
end
keep_step(id, stays, name, outcome)
return 1
