-- A suspect lost a lease before: it may be what kills processes, so it runs where nothing else does. Up to half
-- of the living processes have a turn, so that the others go on.
local SUSPECTS_A_LOOK = 50
local SUSPECTS_LOOKED_AT = 1000
local LOOKED_UPTO = '\31looked\31'
local HEARD_MS = 10000
local PATIENCE_MS = 600000
local DOUBLED_AT_MOST = 10

local function scope_rests(scope)
  local rest = redis.call('HGET', rests, scope)
  return rest and cmsgpack.unpack(rest)[1] > now
end

local function lane_stands_still(queue, lane, gate)
  local scope = queue .. SEP .. lane
  return rules_of_lane(queue, lane).paused or scope_rests(scope) or (gate ~= '' and scope_rests(scope .. SEP .. gate))
end

-- A full cap does not hold a suspect back, or others would overtake it for ever; another suspect under the same
-- cap does: so a cap is exceeded by one at most. `under` are the caps that suspects run under. But a cap of one
-- says that two shall never run at once, and a rate is what the other side allows: they hold for all. Where it lacks
-- nothing but the place under a cap of one, it claims that.
local claimed = {}

local function is_held_back(queue, lane, gate, under)
  local full, ones = false, {}
  for _, limit in ipairs(limits_of(queue, lane, gate)) do
    local name, cap, rate = limit.name, limit.cap, limit.rate
    if cap == 1 then
      ones[name], full = true, full or running_under(name) >= 1
    elseif cap and under[name] and running_under(name) >= cap then
      return true
    end
    if rate and rate_left(name, rate[1], rate[2]) <= 0 then return true end
  end
  for name in pairs(ones) do claimed[name] = true end
  return full, ones
end

-- The rates that log the start of this suspect.
local function rates_of(record)
  local logged = {}
  for _, limit in ipairs(limits_of(record[QUEUE], record[LANE], record[GATE])) do
    if limit.rate then logged[limit.name] = limit.rate[2] end
  end
  return logged
end

-- Add to `found` those that may run, up to `most`, of the next thousand; returns where to go on, or nil at the end.
local function look_for_suspects(queue, from, most, under, waits, found)
  local scope, looked = queue .. SEP .. 's', 0
  while #found < most and looked < SUSPECTS_LOOKED_AT do
    local members = redis.call('ZRANGEBYLEX', apart, from, last_of(scope), 'LIMIT', 0, SUSPECTS_A_LOOK)
    for _, member in ipairs(members) do
      local place, lane, gate = string.match(member, '^(%x+)\31([^\31\30]*)\30?([^\31]*)\31', #scope + 2)
      if place and #found < most then
        local line = lane .. GATE_MARK .. gate
        if waits[line] == nil then
          local held_back, ones = lane_stands_still(queue, lane, gate), nil
          if not held_back then held_back, ones = is_held_back(queue, lane, gate, under) end
          waits[line] = held_back and true or { ones = ones }
        end
        if waits[line] ~= true then found[#found + 1] = { queue = queue, place = place, member = member, ones = waits[line].ones } end
      end
    end
    if #members < SUSPECTS_A_LOOK then return nil end
    looked, from = looked + #members, '(' .. members[#members]
  end
  return from
end

-- The suspects of a queue that may run now, oldest first, at most `most`. Where the first thousand all wait, each
-- call looks at another thousand; where it finds one, the next call looks there again.
local function suspects_of(queue, most, under)
  local found, waits, first = {}, {}, first_of(queue .. SEP .. 's')
  if not redis.call('ZRANGEBYLEX', apart, first, last_of(queue .. SEP .. 's'), 'LIMIT', 0, 1)[1] then return found end
  if redis.call('HEXISTS', policies, 'p' .. SEP .. queue) == 1 or scope_rests(queue) then return found end
  local on, field = look_for_suspects(queue, first, most, under, waits, found), LOOKED_UPTO .. queue
  if #found > 0 then return found end
  if on then
    local from = redis.call('HGET', turns, field) or on
    on = look_for_suspects(queue, from, most, under, waits, found)
    if #found > 0 then on = from end
  end
  if on then redis.call('HSET', turns, field, on) else redis.call('HDEL', turns, field) end
  return found
end

-- The oldest one of the queues of this process, and how many there are, counted up to `most` a queue.
local function find_suspects(most, under)
  local oldest, number = nil, 0
  for queue in string.gmatch(shares, ' (.-)=%d+') do
    local fine, found = tried('suspects of queue ' .. queue .. ' cannot be looked at', suspects_of, queue, most, under)
    if fine then
      number = number + #found
      if found[1] and (not oldest or found[1].place < oldest.place) then oldest = found[1] end
    end
  end
  return oldest, number
end

-- The turns that hold: of others where a suspect runs, of others that become empty, and the one of this process.
local function look_at_turns(book)
  local running_alone, emptying, mine, under = 0, {}, nil, {}
  for _, turn in ipairs(book) do
    if turn[1] == owner then
      mine = turn
    elseif turn[4] == '' then
      if turn[3] > now - HEARD_MS then emptying[#emptying + 1] = turn end
    else
      local record = load_record(turn[4])
      if record and record[STATE] == 'active' and record[OWNER] == turn[1] then
        running_alone = running_alone + 1
        for _, name in ipairs(caps_of(record)) do under[name] = true end
      else
        turn[3] = 0
      end
    end
  end
  return running_alone, emptying, mine, under
end

local function without(book, gone)
  local kept = {}
  for _, turn in ipairs(book) do
    if turn ~= gone and (turn[1] == owner or turn[4] ~= '' or turn[3] > now - HEARD_MS) and turn[3] > 0 then
      kept[#kept + 1] = turn
    end
  end
  return kept
end

local function began_before(turn, other)
  return turn[2] < other[2] or (turn[2] == other[2] and turn[1] < other[1])
end

-- Whether a busy process may go on becoming empty: not when others, who began before it, are enough.
local function is_needed(mine, running_alone, emptying, limit, number)
  local before = 0
  for _, turn in ipairs(emptying) do
    if began_before(turn, mine) then before = before + 1 end
  end
  return running_alone + before < limit and before < number
end

-- The one that has been becoming empty for so long that another may try.
local function overdue(emptying, in_vain)
  local longest
  for _, turn in ipairs(emptying) do
    if not longest or began_before(turn, longest) then longest = turn end
  end
  local patience = PATIENCE_MS * 2 ^ math.min(in_vain, DOUBLED_AT_MOST)
  return longest and longest[2] + patience <= now and longest or nil
end

-- The suspect that this process shall run; or true when it shall become empty for one; or nothing.
local function tend_suspects()
  local book, in_vain = turns_alone()
  local running_alone, emptying, mine, under = look_at_turns(book)
  local found, number = find_suspects(#emptying + 1, under)
  claim_places(claimed)
  local limit = found and math.max(1, math.floor(redis.call('ZCOUNT', leases, '(' .. now, '+inf') / 2))
  if found and running_alone < limit then
    if busy ~= '1' then
      book = without(book, mine)
      book[#book + 1] = { owner, now, now, id_of(found.member) }
      write_turns_alone(book, 0)
      end_claims(found.ones)
      return found
    end
    if mine then
      if is_needed(mine, running_alone, emptying, limit, number) then
        mine[3] = now
        write_turns_alone(without(book), in_vain)
        return true
      end
    else
      local free = running_alone + #emptying < limit and #emptying < number
      local gone = not free and overdue(emptying, in_vain) or nil
      if free or gone then
        book = without(book, gone)
        book[#book + 1] = { owner, now, now, '' }
        write_turns_alone(book, gone and in_vain + 1 or in_vain)
        return true
      end
    end
  end
  if mine then write_turns_alone(without(book, mine), in_vain) end
  return nil
end
