-- PURPOSE: Remove the settled jobs of a queue that are past their age.
-- KEYS: meta, payload, outcomes, progress, markers, completed, failed, cancelled, dead
-- ARGV: queue, completed_ms, failed_ms, most
-- RETURNS: how many jobs were removed
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, removal
local now = now_ms()
local removed = 0
for _, rule in ipairs({ { completed, completed_ms }, { cancelled, completed_ms }, { failed, failed_ms } }) do
  local set, oldest = rule[1], now - tonumber(rule[2])
  local members = redis.call('ZRANGEBYLEX', set, first_of(queue), '(' .. timed_place(queue, oldest + 1, ''), 'LIMIT', 0, most - removed)
  local ids = {}
  for i, member in ipairs(members) do
    ids[i] = id_of(member)
    if set == failed then
      local record = load_record(ids[i])
      redis.call('ZREM', dead, timed_place(record[DEAD_LETTER], record[FINISHED], ids[i]))
    end
  end
  if #ids > 0 then
    redis.call('ZREM', set, unpack(members))
    remove_settled(ids, now)
    removed = removed + #ids
  end
end
return removed
