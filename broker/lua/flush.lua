-- PURPOSE: Remove waiting and delayed jobs of a queue, at most `most`.
-- KEYS: meta, payload, progress, outcomes, waiting, ready, delayed, clock
-- ARGV: queue, most
-- RETURNS: how many were removed; call again until it is 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: places
local removed = 0
for _, set in ipairs({ waiting, delayed }) do
  local members = redis.call('ZRANGEBYLEX', set, first_of(queue), last_of(queue), 'LIMIT', 0, most - removed)
  if #members > 0 then
    local ids = {}
    for i, member in ipairs(members) do ids[i] = id_of(member) end
    redis.call('ZREM', set, unpack(members))
    for _, hash in ipairs({ meta, payload, progress, outcomes }) do redis.call('HDEL', hash, unpack(ids)) end
    removed = removed + #ids
  end
end
if removed == 0 then
  redis.call('ZREM', ready, queue)
  redis.call('ZREM', clock, queue)
end
return removed
