-- The turns to run suspects: a process that has one starts nothing else until it is empty, then runs one
-- suspect after the other. Kept in `turns` as one packed list: how often a turn was taken away in vain, then
-- each turn as owner, since when, when last heard of, and the suspect that runs (empty: none yet).
local ALONE = '\31alone'

local function turns_alone()
  local book = list_in(redis.call('HGET', turns, ALONE)) or { 0 }
  local in_vain = table.remove(book, 1)
  for _, turn in ipairs(book) do
    if type(turn) ~= 'table' or #turn ~= 4 then return {}, 0 end
  end
  return book, type(in_vain) == 'number' and in_vain or 0
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
