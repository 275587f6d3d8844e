-- How late a job came that has not started, as text that sorts: by its place, a delayed one by when it was made.
local function lateness(set, member)
  local id, at = id_of(member), nil
  if set == delayed then
    local creation = redis.call('HGET', jobs, id)
    local made = creation and #creation >= PREFIX_BYTES and struct.unpack(PREFIX, creation) or 0
    at = string.format('%013x', math.floor(made / 1000))
  elseif set == apart then
    at = string.match(member, '^.-\31.\31(%x+)\31')
  else
    at = string.match(member, '.*\31..(%x+)\31[^\31]*$')
  end
  return (at or '') .. SEP .. id
end
