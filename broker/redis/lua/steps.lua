-- PURPOSE: Read what a job has noted, in the order of the names' first use.
-- KEYS: steps
-- ARGV: id
-- RETURNS: name and outcome in turn
-- EVENTS: none
-- OOM: reads
-- INCLUDE: notes
local answer = {}
for n = 1, tonumber(redis.call('HGET', steps, id) or 0) do
  local name = string.sub(redis.call('HGET', steps, id .. NUMBERED .. n), 2)
  answer[2 * n - 1], answer[2 * n] = name, redis.call('HGET', steps, id .. NAMED .. name)
end
return answer
