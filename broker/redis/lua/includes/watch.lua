-- One process watches the timers for all. Kept in `turns`: its name, until when it is trusted, for which time; and
-- which process shall not be the one, until when.
local WATCH = '\31watch'
local WATCH_OWNER = 1
local WATCH_TRUSTED = 2
local WATCH_DUE = 3
local WATCH_NOT = 4
local WATCH_NOT_UNTIL = 5

-- What cannot be read is as good as not there: nothing is lost but whose turn it was.
local function list_in(packed)
  local fine, list = pcall(cmsgpack.unpack, packed or '')
  return fine and type(list) == 'table' and list or nil
end

local function who_watches()
  local watch = list_in(redis.call('HGET', turns, WATCH))
  return watch and type(watch[WATCH_TRUSTED]) == 'number' and type(watch[WATCH_DUE]) == 'number' and watch or { '', 0, 0 }
end

-- When the next delayed or resting job may run, and its queue; nothing when none waits for a time.
local function next_timer()
  local due, timer = redis.call('ZRANGE', clock, 0, 0, 'WITHSCORES'), redis.call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  if timer[2] and not (due[2] and tonumber(due[2]) <= tonumber(timer[2])) then
    return tonumber(timer[2]), string.match(timer[1], '^.([^\31]*)')
  end
  return due[2] and tonumber(due[2]), due[1]
end
