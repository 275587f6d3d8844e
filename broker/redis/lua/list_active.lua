-- PURPOSE: Read one page of the active jobs of a queue, by owner.
-- KEYS: jobs, meta, outcomes, progress, held
-- ARGV: queue, offset, most
-- RETURNS: id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, reading
-- `held` goes by owner, because that is what a crash asks for; it is as long as all threads of the fleet.
local MOST_HELD = 20000
local answer, skip, left = {}, tonumber(offset), tonumber(most)
for _, member in ipairs(redis.call('ZRANGEBYLEX', held, '-', '+', 'LIMIT', 0, MOST_HELD)) do
  local of, id = string.match(member, '\31(.-)\31([^\31]*)$')
  if of == queue then
    if skip > 0 then
      skip = skip - 1
    elseif left > 0 then
      read_into(answer, id)
      left = left - 1
    end
  end
end
return answer
