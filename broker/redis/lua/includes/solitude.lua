-- The turns to run suspects: a process that has one starts nothing else until it is empty, then runs one
-- suspect after the other. Kept in `turns` as one packed list: how often a turn was taken away in vain, then
-- each turn as owner, since when, when last heard of, and the suspect that runs (empty: none yet).
local ALONE = '\31alone'

local function turns_alone()
  local packed = redis.call('HGET', turns, ALONE)
  local book = packed and cmsgpack.unpack(packed) or { 0 }
  return book, table.remove(book, 1)
end

local function write_turns_alone(book, in_vain)
  if #book == 0 then
    redis.call('HDEL', turns, ALONE)
  else
    redis.call('HSET', turns, ALONE, cmsgpack.pack({ in_vain, unpack(book) }))
  end
end

local function drop_turn_alone(of)
  local book, in_vain = turns_alone()
  for i, turn in ipairs(book) do
    if turn[1] == of then
      table.remove(book, i)
      write_turns_alone(book, in_vain)
      return
    end
  end
end

-- Its suspect has ended: the turn is still that process's, which is empty and asks at once.
local function end_of_suspect(of, id)
  local book, in_vain = turns_alone()
  for _, turn in ipairs(book) do
    if turn[1] == of and turn[4] == id then
      turn[2], turn[3], turn[4] = now, now, ''
      write_turns_alone(book, in_vain)
    end
  end
end
