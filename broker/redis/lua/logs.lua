-- PURPOSE: Read the lines that a job logged, attempt by attempt.
-- KEYS: logs
-- ARGV: id
-- RETURNS: for each attempt its token, its number, how many lines were dropped, and a list of its chunks
-- EVENTS: none
-- OOM: reads
-- INCLUDE: notes
local answer = {}
for _, attempt in ipairs(attempts_logged(id)) do
  local chunks = {}
  for n = attempt[LOG_FIRST], attempt[LOG_NEXT] - 1 do
    local chunk = redis.call('HGET', logs, chunk_field(id, attempt, n))
    if chunk then chunks[#chunks + 1] = string.match(chunk, '^%d+:(.*)$') end
  end
  local m = #answer
  answer[m + 1], answer[m + 2], answer[m + 3], answer[m + 4] = attempt[LOG_TOKEN], attempt[LOG_ATTEMPT], attempt[LOG_DROPPED], chunks
end
return answer
