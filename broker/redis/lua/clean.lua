-- PURPOSE: Remove jobs of a queue from one of its ordered sets, the first ones first, at most `most`.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, crowd, timers, delayed, clock, running, tally, totals, expiries, unique, completed, failed, cancelled, dead, outcomes, progress, markers, events, set...
-- ARGV: queue, keep, before, most, after, skipped
-- RETURNS: how many were removed, how many were passed over, and the member to go on after (empty: the end)
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, removal, departure, unread
-- `before` is a time in ms, or -1 for any: settled jobs that ended, waiting ones that were ready, delayed ones
-- that were made by then. `skipped` were passed over in the calls before. The newest `keep` stay, and dead letters whose event a reader has not dealt with.
local set = KEYS[first_set]
local over = redis.call('ZLEXCOUNT', set, first_of(queue), last_of(queue)) - tonumber(keep) - tonumber(skipped)
local latest = tonumber(before)
if over <= 0 then return { 0, 0, '' } end
local removed = 0
local wanted = math.min(over, tonumber(most))
local members = redis.call('ZRANGEBYLEX', set, after == '' and first_of(queue) or '(' .. after, last_of(queue), 'LIMIT', 0, wanted)
local unread_from = first_unread()
for _, member in ipairs(members) do
  local id = id_of(member)
  local record = load_record(id)
  if not record then
    redis.call('ZREM', set, member)
  else
    local since = record[FINISHED] > 0 and record[FINISHED] or (record[STATE] == 'waiting' and record[READY] or record[CREATED])
    local safe = record[STATE] ~= 'failed' or record[FINISHED] < unread_from
    if (latest < 0 or since <= latest) and safe and depart(id) then removed = removed + 1 end
  end
end
write_counts()
return { removed, #members - removed, #members == wanted and members[#members] or '' }
