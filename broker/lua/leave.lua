-- PURPOSE: End a worker's lease on a clean stop. What it still holds is back in its place, unspent.
-- KEYS: meta, waiting, ready, delayed, clock, active, held, leases, workers, requests
-- ARGV: owner, most
-- RETURNS: how many jobs were given back (call again while it is `most`), then the queues that have work again
-- EVENTS: none; what was not started leaves no attempt
-- OOM: allowed
-- INCLUDE: clock, record, places, line_up
local queues = {}
local members = redis.call('ZRANGEBYLEX', held, first_of(owner), last_of(owner), 'LIMIT', 0, most)
for _, member in ipairs(members) do
  local id = id_of(member)
  local record = load_record(id)
  redis.call('ZREM', held, member)
  if record then
    redis.call('ZREM', active, active_place(record, id))
    record[OWNER] = ''
    record[ATTEMPTS] = record[ATTEMPTS] - 1
    record[SETTLED] = record[DELIVERIES]
    line_up(record, id)
    save_record(id, record)
    queues[record[QUEUE]] = true
  end
end
if #members < tonumber(most) then
  redis.call('ZREM', leases, owner)
  redis.call('HDEL', workers, owner)
  redis.call('HDEL', requests, owner)
end
local reply = { #members }
for queue in pairs(queues) do reply[#reply + 1] = queue end
return reply
