-- PURPOSE: Store the settings' rules of queues and weights of tenants. Adjustments stay.
-- KEYS: policies
-- ARGV: rule...
-- RETURNS: 1
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: places
-- Rules come in threes: q, queue and its packed rules; or w, tenant and weight.
-- A tenant that the settings do not name any more weighs 1 again.
for _, field in ipairs(redis.call('HKEYS', policies)) do
  if string.sub(field, 1, 2) == 'w' .. SEP then redis.call('HDEL', policies, field) end
end
for i = first_rule, #ARGV, 3 do
  local kind, name, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  redis.call('HSET', policies, kind .. SEP .. name, value)
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
return 1
