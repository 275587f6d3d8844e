-- The time in ms from which on some reader has not dealt with events.
local function first_unread()
  local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  if not first or #redis.call('XINFO', 'GROUPS', events) == 0 then return math.huge end
  return tonumber(string.match(first[1], '^%d+'))
end
