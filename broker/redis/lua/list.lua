-- PURPOSE: Read one page of the jobs of a queue that are in some ordered sets, by offset.
-- KEYS: jobs, meta, outcomes, progress, set...
-- ARGV: queue, offset, most, newest_first
-- RETURNS: id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, places, reading
local answer, skip, left = {}, tonumber(offset), tonumber(most)
for i = first_set, #KEYS do
  local members
  if newest_first == '1' then
    members = redis.call('ZREVRANGEBYLEX', KEYS[i], last_of(queue), first_of(queue), 'LIMIT', skip, left)
  else
    members = redis.call('ZRANGEBYLEX', KEYS[i], first_of(queue), last_of(queue), 'LIMIT', skip, left)
  end
  for _, member in ipairs(members) do read_into(answer, id_of(member)) end
  left = left - #members
  if left <= 0 then break end
  if #members == 0 then
    skip = math.max(0, skip - redis.call('ZLEXCOUNT', KEYS[i], first_of(queue), last_of(queue)))
  else
    skip = 0
  end
end
return answer
