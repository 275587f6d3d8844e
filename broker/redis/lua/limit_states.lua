-- PURPOSE: Say how the counters of limits stand, in the order of their rules, which come sorted by name.
-- KEYS: starts, overrides, meters, limited
-- ARGV: of_tenant, tenant, most, after, rule...
-- RETURNS: where to go on, or nothing when these were all; then for each counter its key, tenant, limit, per, burst, used, left, ms until all is free (-1: unknown), how many wait
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, places, limits, meters
-- A rule is a want without a counter, with the numbers of tenants by name behind it.
local MOST_LOOKED_AT = 1000
local answer, n, looked_at = { '' }, 0, 0
most = tonumber(most)

local function tell(rule, key, tenant)
  local numbers = rule[11][tenant] or { rule[WANT_LIMIT], rule[WANT_PER], rule[WANT_BURST] }
  local want = as_it_holds({ key, rule[WANT_RULE], rule[WANT_KIND], numbers[1], numbers[2], numbers[3], 1000000000, tenant, '', rule[WANT_SLOWS] })
  local room, at = room_and_time(want)
  local all = is_level(want[WANT_KIND]) and want[WANT_BURST] or want[WANT_LIMIT]
  if at == math.huge then at = now - 1 end
  local used = all - room
  if want[WANT_KIND] ~= 'concurrency' then used = math.min(all, used) end -- some is taken of what is to come
  local row = { key, tenant, want[WANT_LIMIT], want[WANT_PER], want[WANT_BURST], used, math.max(0, room), math.max(-1, at - now), waiters_of(key) }
  for _, value in ipairs(row) do answer[#answer + 1] = value end
  n = n + 1
end

for i = first_rule, #ARGV do
  local rule = cmsgpack.unpack(ARGV[i])
  local name = 'k' .. SEP .. rule[WANT_RULE]
  if after < name .. '\31' then
    local from = after > name .. '\30' and '(' .. after or '[' .. name .. '\30'
    local members = redis.call('ZRANGEBYLEX', limited, from, '(' .. name .. '\31', 'LIMIT', 0, MOST_LOOKED_AT - looked_at)
    for _, member in ipairs(members) do
      local key, whose = string.match(member, '^k\31([^\31]*)\31(.*)$')
      if of_tenant == '0' or whose == tenant then tell(rule, key, whose) end
      looked_at = looked_at + 1
      if n >= most or looked_at >= MOST_LOOKED_AT then
        answer[1] = member
        return answer
      end
    end
  end
end
return answer
