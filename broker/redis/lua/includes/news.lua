-- Events: one stream entry holds those of one call, which spares server and readers most of the cost.
local news = {}

local function tell(record, id, outcome, attempt, token, owner, ready_at, started_at, detail)
  news[#news + 1] = {
    id, record[QUEUE], record[ACTOR], record[LANE], outcome, record[STATE], attempt, token, owner,
    record[CREATED], ready_at, started_at, now, detail,
  }
end

-- `b` is how many bytes the stream had ever held before this entry, so the first one there tells the backlog.
local function publish_news()
  if #news == 0 then return end
  local packed = cmsgpack.pack(news)
  local before = redis.call('INCRBY', backlog, #packed) - #packed
  redis.call('XADD', events, '*', 'e', packed, 'b', string.format('%.0f', before))
end
