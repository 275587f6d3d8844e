-- Events: one stream entry holds those of one call, which spares server and readers most of the cost.
local EVENTS_AN_ENTRY = 128 -- readers take whole entries
local news = {}

local function tell(record, id, outcome, attempt, token, owner, ready_at, started_at, detail)
  news[#news + 1] = {
    id, record[QUEUE], record[ACTOR], record[LANE], outcome, record[STATE], attempt, token, owner,
    record[CREATED], ready_at, started_at, now, detail,
  }
end

-- An entry has the packed events as `e`; as `b` how many bytes the stream had ever held before, so the first entry
-- there tells the backlog.
local function publish_news()
  for first = 1, #news, EVENTS_AN_ENTRY do
    local entry = #news <= EVENTS_AN_ENTRY and news or { unpack(news, first, math.min(first + EVENTS_AN_ENTRY - 1, #news)) }
    local packed = cmsgpack.pack(entry)
    local before = redis.call('INCRBY', backlog, #packed) - #packed
    redis.call('XADD', events, '*', 'e', packed, 'b', string.format('%.0f', before))
  end
end
