-- PURPOSE: Remove the settled jobs of queues that are past their age, at most `most`.
-- KEYS: meta, payload, outcomes, progress, markers, completed, failed, cancelled, dead
-- ARGV: most, rule...
-- RETURNS: how many jobs were removed
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, removal
-- Rules come in threes: queue, ages in ms of completed (or cancelled) and of failed jobs.
local removed = 0

local function remove_before(set, queue, age)
  local oldest = now - tonumber(age)
  local members = redis.call('ZRANGEBYLEX', set, first_of(queue), '(' .. timed_place(queue, oldest + 1, ''), 'LIMIT', 0, most - removed)
  if #members == 0 then return end
  local ids = {}
  for i, member in ipairs(members) do
    ids[i] = id_of(member)
    if set == failed then
      local record = load_record(ids[i])
      if record then redis.call('ZREM', dead, timed_place(record[DEAD_LETTER], record[FINISHED], ids[i])) end
    end
  end
  redis.call('ZREM', set, unpack(members))
  remove_settled(ids, now)
  removed = removed + #ids
end

for i = first_rule, #ARGV, 3 do
  remove_before(completed, ARGV[i], ARGV[i + 1])
  remove_before(cancelled, ARGV[i], ARGV[i + 1])
  remove_before(failed, ARGV[i], ARGV[i + 2])
end
return removed
