-- PURPOSE: Say how the breakers of providers stand.
-- KEYS: meters, limited
-- ARGV: key...
-- RETURNS: for each closed, open or half; until when it is open or 0, and how many ms that is; failures of the window; the share of its rate in thousandths; how many wait
-- EVENTS: none
-- OOM: reads
-- INCLUDE: clock, places, meters
local answer = {}
for i = first_key, #ARGV do
  local state = meter_of(ARGV[i])
  local row = { breaker_of(state), state and state.open_until or 0, math.max(0, (state and state.open_until or 0) - now), state and state.failures or 0, share_of(ARGV[i]), waiters_of(ARGV[i]) }
  for _, value in ipairs(row) do answer[#answer + 1] = value end
end
return answer
