-- PURPOSE: Forget cached results whose keys begin with a text, at most `most`.
-- KEYS: cache, cached
-- ARGV: prefix, most
-- RETURNS: how many
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: caching
local found = {}
for _, key in ipairs(redis.call('ZRANGE', cached, 0, -1)) do
  if #found >= tonumber(most) then break end
  if string.sub(key, 1, #prefix) == prefix then found[#found + 1] = key end
end
forget_cached(found)
return #found
