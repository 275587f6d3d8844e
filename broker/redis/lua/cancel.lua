-- PURPOSE: Cancel jobs: at once what has not started; what runs is marked, and its worker told.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, timers, delayed, clock, running, tally, totals, expiries, unique, completed, failed, cancelled, dead, outcomes, events, backlog
-- ARGV: channel, outcome, reason, detail, id...
-- RETURNS: for each job d (done), s (signalled), l (late) or u (unknown)
-- EVENTS: `cancelled` with attempt 0 and the token of the last delivery for each that had not started
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, unique, settlement, news
local answer = {}
for i = first_id, #ARGV do
  local id = ARGV[i]
  local record = load_record(id)
  local word = 'l'
  if not record then
    word = 'u'
  elseif record[STATE] == 'waiting' or record[STATE] == 'delayed' then
    word = 'd'
    step_away(record, id)
    redis.call('HSET', outcomes, id, outcome)
    finish(record, id, 'cancelled')
    save_record(id, record)
    tell(record, id, 'cancelled', 0, record[DELIVERIES], '', record[READY], 0, detail)
  elseif record[STATE] == 'active' then
    word = 's'
    if record[CANCEL] == 0 then
      record[CANCEL], record[REASON] = 1, reason
      save_record(id, record)
    end
    redis.call('PUBLISH', channel, id)
  end
  answer[#answer + 1] = word
end
publish_news()
write_counts()
return answer
