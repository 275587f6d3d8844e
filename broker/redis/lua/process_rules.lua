-- PURPOSE: Say what was adjusted of queues, for worker processes that keep some of these numbers themselves.
-- KEYS: policies
-- ARGV: queue...
-- RETURNS: for each queue with adjustments its name and the packed map of them
-- EVENTS: none
-- OOM: reads
-- INCLUDE: places
local answer = {}
for i = first_queue, #ARGV do
  local found = redis.call('HGET', policies, 'a' .. SEP .. ARGV[i])
  if found then
    answer[#answer + 1] = ARGV[i]
    answer[#answer + 1] = found
  end
end
return answer
