-- PURPOSE: Read active jobs of a queue, by owner, from behind a member on.
-- KEYS: jobs, meta, outcomes, progress, held
-- ARGV: queue, after, most
-- RETURNS: the member to go on from (empty: the end), then id, record, payload, outcome, progress of each job
-- EVENTS: none
-- OOM: reads
-- INCLUDE: record, reading
-- `held` goes by owner, because that is what a crash asks for: so few of a page may be of this queue, or none.
local LOOKED_AT = 1000
local answer, found = { '' }, 0
local members = redis.call('ZRANGEBYLEX', held, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, LOOKED_AT)
for i, member in ipairs(members) do
  local of, id = string.match(member, '\31(.-)\31([^\31]*)$')
  if of == queue then
    read_into(answer, id)
    found = found + 1
  end
  if found == tonumber(most) or i == LOOKED_AT then
    answer[1] = member
    break
  end
end
for i = 1, 5 * found + 1 do answer[i] = answer[i] or false end
return answer
