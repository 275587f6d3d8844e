-- What the end of a delivery leaves behind: the record, the set of its state, the event.
local function release(record, id)
  redis.call('ZREM', active, active_place(record, id))
  redis.call('ZREM', held, held_place(record[OWNER], id))
end

local function finish(record, id, state, now)
  record[STATE] = state
  record[FINISHED] = now
  local set = completed
  if state == 'failed' then
    set = failed
    redis.call('ZADD', dead, 0, timed_place(record[DEAD_LETTER], now, id))
  elseif state == 'cancelled' then
    set = cancelled
  end
  redis.call('ZADD', set, 0, timed_place(record[QUEUE], now, id))
  redis.call('HINCRBY', totals, record[QUEUE] .. SEP .. state, 1)
end

local function append_event(record, id, outcome, attempt, owner, now, detail)
  redis.call('XADD', events, '*', 'e', cmsgpack.pack({
    id, record[QUEUE], record[ACTOR], record[LANE], outcome, record[STATE], attempt, record[DELIVERIES],
    owner, record[CREATED], record[READY], record[STARTED], now, detail,
  }))
end
