-- A job as readers get it: id, record, payload, outcome, progress.
local function read_into(answer, id)
  local packed, creation = redis.call('HGET', meta, id), redis.call('HGET', jobs, id)
  if not packed and not creation then return end
  if not packed then
    local record = record_from(nil, creation)
    if not record then return end
    packed = cmsgpack.pack(record)
  end
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = id, packed, creation and payload_of(creation) or ''
  answer[n + 4], answer[n + 5] = redis.call('HGET', outcomes, id), redis.call('HGET', progress, id)
end
