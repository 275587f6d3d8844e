-- A job as readers get it: id, record, payload, outcome, progress.
local function read_into(answer, id)
  local packed, creation = redis.call('HGET', meta, id), redis.call('HGET', jobs, id)
  -- What cannot be read must not hide the others.
  local record = record_from(packed, creation)
  if not record then return end
  packed = packed or cmsgpack.pack(record)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = id, packed, creation and payload_of(creation) or ''
  answer[n + 4], answer[n + 5] = redis.call('HGET', outcomes, id), redis.call('HGET', progress, id)
end
