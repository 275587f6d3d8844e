-- PURPOSE: Remove jobs of a queue from one of its ordered sets, the first ones first, at most `most`.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, timers, delayed, clock, running, tally, totals, expiries, unique, completed, failed, cancelled, dead, outcomes, progress, steps, logs, markers, events, backlog, gates, set...
-- ARGV: queue, keep, before, most, after, skipped, newest
-- RETURNS: how many were removed, how many were passed over, and the member to go on after (empty: the end)
-- EVENTS: `failed` for a job whose record cannot be read: it becomes a dead letter instead
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, notes, removal, departure, unread, ages, settlement, news, aside
-- `before` is a time in ms, or -1 for any: settled jobs that ended, waiting ones that were ready, delayed ones
-- that were made by then. `skipped` were passed over in the calls before. Of settled jobs the newest `keep` stay,
-- of others those that came as late as `newest` (see ages.lua; empty: none); and dead letters whose event a
-- reader has not dealt with.
local set = KEYS[first_set]
local over = redis.call('ZLEXCOUNT', set, first_of(queue), last_of(queue)) - tonumber(keep) - tonumber(skipped)
local latest = tonumber(before)
if over <= 0 then return { 0, 0, '' } end
local removed, gone = 0, 0
local wanted = math.min(over, tonumber(most))
local members = redis.call('ZRANGEBYLEX', set, after == '' and first_of(queue) or '(' .. after, last_of(queue), 'LIMIT', 0, wanted)
local unread_from = first_unread()
local settled_words = { [completed] = 'completed', [failed] = 'failed', [cancelled] = 'cancelled' }

local function is_old_enough(since, is_letter, member)
  if latest >= 0 and since > latest then return false end
  if is_letter and since >= unread_from then return false end
  return newest == '' or lateness(set, member) < newest
end

-- False: it stays.
local function clear_away_unreadable(member)
  if set == waiting then
    set_aside_in_line(member)
  elseif set == apart then
    set_aside_apart(member)
  elseif set == delayed then
    redis.call('ZREM', delayed, member)
    set_clock(queue)
    set_aside_delayed(id_of(member), queue)
  else
    -- Its place says when it ended.
    local ended = tonumber(string.match(member, '^.-\31(%d+)\31')) or 0
    if not is_old_enough(ended, set == failed, member) then return false end
    remove_settled(set, settled_words[set], { member })
    removed = removed + 1
  end
  return true
end

local function may_go(record, member)
  local since = record[FINISHED] > 0 and record[FINISHED] or (record[STATE] == 'waiting' and record[READY] or record[CREATED])
  return is_old_enough(since, record[STATE] == 'failed', member)
end

for _, member in ipairs(members) do
  local id = id_of(member)
  local record = load_record(id)
  if not record then
    if clear_away_unreadable(member) then gone = gone + 1 end
  elseif may_go(record, member) and depart(id) then
    removed, gone = removed + 1, gone + 1
  end
end
recount_what_was_lost()
publish_news()
write_counts()
return { removed, #members - gone, #members == wanted and members[#members] or '' }
