-- Where nobody reads events (the audit is left out) nobody can lose them: the latest stay for who comes a little late.
local UNREAD_KEPT_MS = 60000

local function forget_what_nobody_reads()
  if redis.call('EXISTS', events) == 1 and #redis.call('XINFO', 'GROUPS', events) == 0 then
    redis.call('XTRIM', events, 'MINID', now - UNREAD_KEPT_MS + 1)
  end
end

-- The time in ms from which on some reader has not dealt with events.
local function first_unread()
  local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  if not first or #redis.call('XINFO', 'GROUPS', events) == 0 then return math.huge end
  return tonumber(string.match(first[1], '^%d+'))
end
