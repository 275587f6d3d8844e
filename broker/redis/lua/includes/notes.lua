-- What jobs noted while they ran, as fields of two hashes that leave with the job.
-- `steps`: id -> how many names; id, NUMBERED, n -> 1 or 0 (it stays when the job is run again from its start) and
-- the n-th name; id, NAMED, name -> what is kept under it.
-- `logs`: id -> packed list of attempts; id, SEP, token, SEP, n -> number of lines, colon, a chunk of the log.
local NUMBERED = '\31#'
local NAMED = '\31='
local LOG_MARK = '\31'
-- An attempt of the list.
local LOG_TOKEN = 1
local LOG_ATTEMPT = 2
local LOG_FIRST = 3
local LOG_NEXT = 4
local LOG_BYTES = 5
local LOG_DROPPED = 6

local function keep_step(id, stays, name, outcome)
  if redis.call('HSET', steps, id .. NAMED .. name, outcome) == 0 then return end
  local n = redis.call('HINCRBY', steps, id, 1)
  redis.call('HSET', steps, id .. NUMBERED .. n, stays .. name)
end

-- Forget the steps of a job; returns those that stay when it is run again, as name and outcome in turn.
local function forget_steps(id)
  local lasting = {}
  for n = 1, tonumber(redis.call('HGET', steps, id) or 0) do
    local entry = redis.call('HGET', steps, id .. NUMBERED .. n)
    local name = string.sub(entry, 2)
    if string.sub(entry, 1, 1) == '1' then
      lasting[#lasting + 1], lasting[#lasting + 2] = name, redis.call('HGET', steps, id .. NAMED .. name)
    end
    redis.call('HDEL', steps, id .. NUMBERED .. n, id .. NAMED .. name)
  end
  redis.call('HDEL', steps, id)
  return lasting
end

local function begin_anew(id)
  local lasting = forget_steps(id)
  for i = 1, #lasting, 2 do keep_step(id, '1', lasting[i], lasting[i + 1]) end
end

local function chunk_field(id, attempt, n) return id .. LOG_MARK .. attempt[LOG_TOKEN] .. LOG_MARK .. n end

local function drop_oldest_chunk(id, attempt)
  local field = chunk_field(id, attempt, attempt[LOG_FIRST])
  local chunk = redis.call('HGET', logs, field)
  if chunk then
    local held_lines = string.match(chunk, '^%d+')
    attempt[LOG_BYTES] = attempt[LOG_BYTES] - (#chunk - #held_lines - 1)
    attempt[LOG_DROPPED] = attempt[LOG_DROPPED] + tonumber(held_lines)
    redis.call('HDEL', logs, field)
  end
  attempt[LOG_FIRST] = attempt[LOG_FIRST] + 1
end

local function forget_attempt(id, attempt)
  for n = attempt[LOG_FIRST], attempt[LOG_NEXT] - 1 do redis.call('HDEL', logs, chunk_field(id, attempt, n)) end
end

local function attempts_logged(id)
  local packed = redis.call('HGET', logs, id)
  return packed and cmsgpack.unpack(packed) or {}
end

-- Add the chunk `n` of a delivery, unless it was added before. Attempts stand in the order of their tokens; of one
-- `most_bytes` are kept, and the `most_attempts` latest.
local function append_log(id, token, number, n, line_count, text, most_bytes, most_attempts)
  local attempts, at = attempts_logged(id), 1
  while attempts[at] and attempts[at][LOG_TOKEN] < token do at = at + 1 end
  if not attempts[at] or attempts[at][LOG_TOKEN] > token then
    if at == 1 and #attempts >= most_attempts then return end
    table.insert(attempts, at, { token, number, n, n, 0, 0 })
  end
  local attempt = attempts[at]
  if n < attempt[LOG_NEXT] then return end
  redis.call('HSET', logs, chunk_field(id, attempt, n), line_count .. ':' .. text)
  attempt[LOG_NEXT] = n + 1
  attempt[LOG_BYTES] = attempt[LOG_BYTES] + #text
  while attempt[LOG_BYTES] > most_bytes and attempt[LOG_FIRST] < n do drop_oldest_chunk(id, attempt) end
  if #attempts > most_attempts then forget_attempt(id, table.remove(attempts, 1)) end
  redis.call('HSET', logs, id, cmsgpack.pack(attempts))
end

local function forget_notes(ids)
  for _, id in ipairs(ids) do
    forget_steps(id)
    for _, attempt in ipairs(attempts_logged(id)) do forget_attempt(id, attempt) end
    redis.call('HDEL', logs, id)
  end
end
