-- PURPOSE: Find the lanes of a queue that have waiting jobs, from a mark on.
-- KEYS: waiting
-- ARGV: queue, after, most
-- RETURNS: the mark to go on from (empty: the end), then names; one may come again, as each band is looked through
-- EVENTS: none
-- OOM: reads
-- INCLUDE: places
local answer, from = { '' }, after == '' and first_of(queue) or after
while #answer <= tonumber(most) do
  local member = redis.call('ZRANGEBYLEX', waiting, from, last_of(queue), 'LIMIT', 0, 1)[1]
  if not member then return answer end
  local band, lane = string.match(member, '^(.-\31..)\31([^\30\31]*)')
  answer[#answer + 1] = lane
  from = '[' .. band .. SEP .. lane .. '\32'
end
answer[1] = from
return answer
