-- PURPOSE: A member of a group is completed. The same member counts once.
-- KEYS: groups, arrivals
-- ARGV: group, member
-- RETURNS: 1 for the member that made the group complete, also when it comes again; else 0
-- EVENTS: none
-- OOM: allowed
-- INCLUDE: places
local packed = redis.call('HGET', groups, group)
if not packed then return 0 end -- its time is over
local entry = cmsgpack.unpack(packed)
if redis.call('ZADD', arrivals, 0, group .. SEP .. member) == 1 then
  entry[2] = entry[2] + 1
  if entry[2] == entry[1] then entry[3] = member end
  redis.call('HSET', groups, group, cmsgpack.pack(entry))
end
return entry[3] == member and 1 or 0
