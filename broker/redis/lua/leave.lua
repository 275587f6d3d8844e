-- PURPOSE: End a worker's lease on a clean stop. What it still holds is back in its place, unspent.
-- KEYS: jobs, meta, waiting, apart, lines, order, clocks, gates, ready, timers, clock, rests, asleep, meters, permits, limited, running, starts, policies, unique, held, leases, workers, requests, idle, turns, completed, failed, cancelled, dead, tally, totals, expiries, events, backlog, outcomes
-- ARGV: owner, most
-- RETURNS: how many jobs were given back (call again while it is `most`), then the queues that have work again
-- EVENTS: `cancelled` for what was to be cancelled, `failed` for a job whose record cannot be read; what was not started leaves no attempt
-- OOM: allowed
-- INCLUDE: clock, record, places, counts, lines, standing, limits, unique, settlement, news, farewell, solitude, watch, rules, aside, resting, meters, permits
local queues = {}
local members = redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, most)
for _, member in ipairs(members) do
  local id = id_of(member)
  local record = load_record(id)
  if record and record[STATE] == 'active' and record[OWNER] == owner then
    release(record, id)
    record[ATTEMPTS] = record[ATTEMPTS] - 1
    record[SETTLED] = record[DELIVERIES]
    take_out_of_rates(record, id)
    refund(record)
    retake_unique(record, id)
    if record[CANCEL] == 1 then
      local started = record[STARTED]
      redis.call('HSET', outcomes, id, cancelled_outcome(record))
      finish(record, id, 'cancelled')
      tell(record, id, 'cancelled', record[ATTEMPTS] + 1, record[DELIVERIES], owner, record[READY], started, '')
    else
      line_up(record, id)
    end
    save_record(id, record)
    queues[record[QUEUE]] = true
  elseif record then
    leaving[#leaving + 1] = member
  else
    set_aside_active(member)
  end
end
write_releases()
if #members < tonumber(most) then
  local watched = forget_worker(owner)
  if watched then queues[watched] = true end
end
publish_news()
write_counts()
local answer = { #members }
for queue in pairs(woken) do queues[queue] = true end
for queue in pairs(queues) do answer[#answer + 1] = queue end
return answer
