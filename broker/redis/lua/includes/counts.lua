-- Counters, added up while a script runs and written once at its end by `write_counts`: one book a lane, so
-- that no name is put together for each job. A counter that comes to 0 is removed, so that tenants that
-- have gone leave nothing.
local books, under_names = false, false

local function count(queue, lane, word, n)
  books = books or {}
  local of_queue = books[queue]
  if not of_queue then
    of_queue = {}
    books[queue] = of_queue
  end
  local book = of_queue[lane]
  if not book then
    book = {}
    of_queue[lane] = book
  end
  book[word] = (book[word] or 0) + n
end

local function count_job(record, word, n)
  return count(record[QUEUE], record[LANE], word, n)
end

-- Of a cap that is no queue's and no lane's: a share or a gate.
local function count_under(name, n)
  under_names = under_names or {}
  under_names[name] = (under_names[name] or 0) + n
end

local function running_in_queue(queue)
  local n = tonumber(redis.call('HGET', running, 'q' .. SEP .. queue) or 0)
  for _, book in pairs(books and books[queue] or {}) do n = n + (book.active or 0) end
  return n
end

local function running_in_lane(queue, lane)
  local book = books and books[queue] and books[queue][lane]
  return tonumber(redis.call('HGET', running, 'l' .. SEP .. queue .. SEP .. lane) or 0) + (book and book.active or 0)
end

local function running_under(name)
  return tonumber(redis.call('HGET', running, name) or 0) + (under_names and under_names[name] or 0)
end

local function add_to(hash, field, n)
  if n ~= 0 and redis.call('HINCRBY', hash, field, n) == 0 then redis.call('HDEL', hash, field) end
end

local MINUTES_KEPT_MS = 180000

-- Ever, and of this minute; the first of a minute says when the minute's count may go.
local function add_ended(queue, word, n)
  redis.call('HINCRBY', totals, queue .. SEP .. word, n)
  local minute = queue .. SEP .. word .. SEP .. math.floor(now / 60000)
  if redis.call('HINCRBY', totals, minute, n) == n then
    redis.call('ZADD', expiries, now + MINUTES_KEPT_MS, 'M' .. minute)
  end
end

local ENDED = { ended_completed = 'completed', ended_failed = 'failed', ended_cancelled = 'cancelled' }

local function write_counts()
  for queue, lanes in pairs(books or {}) do
    local active, resting, ended = 0, 0, {}
    for lane, book in pairs(lanes) do
      for word, n in pairs(book) do
        if word == 'active' then
          active = active + n
          add_to(running, 'l' .. SEP .. queue .. SEP .. lane, n)
        elseif ENDED[word] then
          ended[word] = (ended[word] or 0) + n
        else
          if word == 'resting' then resting = resting + n end
          add_to(tally, queue .. SEP .. lane .. SEP .. word, n)
        end
      end
    end
    add_to(running, 'q' .. SEP .. queue, active)
    add_to(tally, queue .. SEP .. SEP .. 'all-resting', resting)
    for word, n in pairs(ended) do add_ended(queue, ENDED[word], n) end
  end
  for name, n in pairs(under_names or {}) do add_to(running, name, n) end
  books, under_names = false, false
end
