-- A job whose record cannot be read must not stop its neighbours: it becomes a dead letter, payload kept.
local UNREADABLE = '{"error":{"type":"UnreadableRecord","message":"the record of this job could not be read"}}'

local function set_aside(id, queue)
  local record = { 'failed', queue, 'unknown', '', 5, 0, now, 1, 0, 0, now, 0, now, now, '', 0, 0, 0, 'dead-letter' }
  redis.call('HSETNX', payload, id, '')
  redis.call('HSET', outcomes, id, UNREADABLE)
  finish(record, id, 'failed', now)
  save_record(id, record)
  append_event(record, id, 'failed', 0, '', now, '')
end
