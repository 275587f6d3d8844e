-- The rules of queues and lanes: what the settings say, and over it what was adjusted while running.
local queue_rules, lane_rules = {}, {}

local function rules_of(queue)
  if queue_rules[queue] then return queue_rules[queue] end
  local found = redis.call('HMGET', policies, 'q' .. SEP .. queue, 'a' .. SEP .. queue)
  local rules = found[1] and cmsgpack.unpack(found[1]) or {}
  if found[2] then
    for name, value in pairs(cmsgpack.unpack(found[2])) do rules[name] = value end
  end
  rules.priority = rules.priority or 5
  queue_rules[queue] = rules
  return rules
end

-- A cap or rate of 0 was adjusted to "none".
local function cap_in(rules, name)
  local cap = rules[name]
  return cap and cap > 0 and cap or nil
end

local function rate_in(rules, name)
  local rate = rules[name]
  return type(rate) == 'table' and rate or nil
end

local has_lanes = nil

local function rules_of_lane(queue, lane)
  local key = queue .. SEP .. lane
  if lane_rules[key] then return lane_rules[key] end
  if has_lanes == nil then has_lanes = redis.call('HEXISTS', policies, 'lanes') == 1 end
  local rules = {}
  if has_lanes then
    local found = redis.call('HMGET', policies, 'a' .. SEP .. key, 'w' .. SEP .. lane)
    rules = found[1] and cmsgpack.unpack(found[1]) or {}
    rules.weight = rules.weight or tonumber(found[2] or 1)
  end
  rules.weight = rules.weight or 1
  lane_rules[key] = rules
  return rules
end
