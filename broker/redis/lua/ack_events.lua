-- PURPOSE: Mark events as dealt with by one reader, and drop what every reader has dealt with.
-- KEYS: events
-- ARGV: reader, event...
-- RETURNS: how many events were dropped
-- EVENTS: none
-- OOM: allowed
-- INCLUDE:
if redis.call('EXISTS', events) == 0 then return 0 end -- the server has lost its data
local CHUNK = 1000 -- well under what Lua can unpack
for i = first_event, #ARGV, CHUNK do
  redis.call('XACK', events, reader, unpack(ARGV, i, math.min(i + CHUNK - 1, #ARGV)))
end

local function before(a, b)
  local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_n) < tonumber(b_n)
end

local keep_from
for _, group in ipairs(redis.call('XINFO', 'GROUPS', events)) do
  local fields = {}
  for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
  local first = fields['last-delivered-id']
  if fields['pending'] > 0 then
    first = redis.call('XPENDING', events, fields['name'], '-', '+', 1)[1][1]
  else
    local ms, n = string.match(first, '(%d+)-(%d+)')
    first = ms .. '-' .. string.format('%.0f', tonumber(n) + 1)
  end
  if not keep_from or before(first, keep_from) then keep_from = first end
end
if not keep_from then return 0 end
return redis.call('XTRIM', events, 'MINID', keep_from)
