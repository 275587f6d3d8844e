-- What goes wrong with one job, line or queue must not stop the others. The server's log tells of it.
local function tried(what, f, ...)
  local fine, first, second = pcall(f, ...)
  if not fine then
    local problem = type(first) == 'table' and first.err or first
    redis.log(redis.LOG_WARNING, 'callboard: ' .. what .. ': ' .. tostring(problem))
  end
  return fine, first, second
end
