-- Put a job into its queue's line, or among the delayed.
local function line_up(record, id)
  record[STATE] = 'waiting'
  record[DUE] = 0
  redis.call('ZADD', waiting, 0, waiting_place(record, id))
  redis.call('ZADD', ready, 'NX', now_us, record[QUEUE])
end

local LAST_TIME = 9999999999999

local function postpone(record, id, due)
  -- A fourteenth digit would put the job before all others, and no fetch would ever get past it.
  due = math.min(due, LAST_TIME)
  record[STATE] = 'delayed'
  record[DUE] = due
  record[READY] = 0
  redis.call('ZADD', delayed, 0, timed_place(record[QUEUE], due, id))
  redis.call('ZADD', clock, 'LT', due, record[QUEUE])
end
