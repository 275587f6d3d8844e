-- Remove one job from wherever it is; nil when it is active or not there.
local function depart(id)
  local record = load_record(id)
  if not record or record[STATE] == 'active' then return nil end
  local set = ({ ['completed'] = completed, ['failed'] = failed, ['cancelled'] = cancelled })[record[STATE]]
  if set then
    remove_settled(set, record[STATE], { settled_place(record, id) })
  else
    step_away(record, id)
    release_unique(record, id, true)
    forget({ id }, { now + record[MARKER] })
  end
  return record
end
