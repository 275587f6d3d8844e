-- PURPOSE: Say how the counters of limits stand.
-- KEYS: starts, overrides, meters, limited
-- ARGV: of_tenant, tenant, most, rule...
-- RETURNS: for each counter its key, tenant, limit, per, burst, used, left, ms until all is free (-1: unknown), how many wait
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, places, limits, meters
-- A rule is a want without a counter, with the numbers of tenants by name behind it.
local answer, n = {}, 0

local function tell(rule, key, tenant)
  local numbers = rule[11][tenant] or { rule[WANT_LIMIT], rule[WANT_PER], rule[WANT_BURST] }
  local want = as_it_holds({ key, rule[WANT_RULE], rule[WANT_KIND], numbers[1], numbers[2], numbers[3], 1000000000, tenant, '', rule[WANT_SLOWS] })
  local room, at = room_and_time(want)
  local most = is_level(want[WANT_KIND]) and want[WANT_BURST] or want[WANT_LIMIT]
  if at == math.huge then at = now - 1 end
  local row = { key, tenant, want[WANT_LIMIT], want[WANT_PER], want[WANT_BURST], most - room, math.max(0, room), math.max(-1, at - now), waiters_of(key) }
  for _, value in ipairs(row) do answer[#answer + 1] = value end
end

for i = first_rule, #ARGV do
  local rule = cmsgpack.unpack(ARGV[i])
  local from = '[k' .. SEP .. rule[WANT_RULE] .. '\30'
  for _, member in ipairs(redis.call('ZRANGEBYLEX', limited, from, '(k' .. SEP .. rule[WANT_RULE] .. '\31', 'LIMIT', 0, 10000)) do
    local key, whose = string.match(member, '^k\31([^\31]*)\31(.*)$')
    if n < tonumber(most) and (of_tenant == '0' or whose == tenant) then
      tell(rule, key, whose)
      n = n + 1
    end
  end
end
return answer
