-- PURPOSE: Store the settings' rules of queues and weights of tenants. Adjustments stay.
-- KEYS: policies
-- ARGV: rule...
-- RETURNS: the queues whose rules have changed: `rouse` what rests in them
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: places
-- Rules come in threes: q, queue and its packed rules; or w, tenant and weight.
-- A tenant that the settings do not name any more weighs 1 again.
for _, field in ipairs(redis.call('HKEYS', policies)) do
  if string.sub(field, 1, 2) == 'w' .. SEP then redis.call('HDEL', policies, field) end
end
local changed = {}
redis.call('HSET', policies, 'configured', 1)
for i = first_rule, #ARGV, 3 do
  local kind, name, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local field, mark = kind .. SEP .. name, 'm' .. SEP .. name
  -- The mark stays until that is done: whoever was to do it may die.
  if kind == 'q' and redis.call('HGET', policies, field) ~= value then redis.call('HSET', policies, mark, 1) end
  if kind == 'q' and redis.call('HEXISTS', policies, mark) == 1 then changed[#changed + 1] = name end
  redis.call('HSET', policies, field, value)
  if kind == 'w' then
    redis.call('HSET', policies, 'lanes', 1)
  else
    -- Asked for so often that they have fields of their own: lanes before bands, and fair in time.
    local rules = cmsgpack.unpack(value)
    for mark, on in pairs({ b = rules.lane_first or false, t = rules.time or false }) do
      if on then
        redis.call('HSET', policies, mark .. SEP .. name, 1)
      else
        redis.call('HDEL', policies, mark .. SEP .. name)
      end
    end
  end
end
return changed
