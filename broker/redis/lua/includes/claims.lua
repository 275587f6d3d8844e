-- Under a cap of one a suspect claims the next free place: else ordinary jobs would take it again and again before a
-- process is empty for it. A free place is kept for some time, then others have it as long, then it is kept for twice
-- that, until a suspect has run under the cap. A claim holds while some process meets the suspect that may run.
-- Kept in `turns` as one packed list of { cap, kept since (0: it was not free yet), when last met, how often in vain }.
local CLAIMS = '\31claims'
local KEPT_MS = 30000
local KEPT_DOUBLED_AT_MOST = 10
local CLAIM_MET_MS = 60000
local LOOK_AGAIN_MS = 1000 -- the suspect may have ended meanwhile
local claims = nil

local function claims_now()
  if claims then return claims end
  claims = {}
  if redis.call('ZCARD', apart) == 0 then return claims end
  for _, claim in ipairs(list_in(redis.call('HGET', turns, CLAIMS)) or {}) do
    if type(claim) == 'table' and #claim == 4 and claim[3] > now - CLAIM_MET_MS then claims[claim[1]] = claim end
  end
  return claims
end

local function write_claims()
  local all = {}
  for _, claim in pairs(claims_now()) do all[#all + 1] = claim end
  if #all == 0 then redis.call('HDEL', turns, CLAIMS) else redis.call('HSET', turns, CLAIMS, cmsgpack.pack(all)) end
end

local function kept_ms(claim) return KEPT_MS * 2 ^ math.min(claim[4], KEPT_DOUBLED_AT_MOST) end

-- When other jobs shall look again at a free place that is kept; nil when they may have it.
local function kept_until(name)
  local claim = claims_now()[name]
  if not claim then return nil end
  if claim[2] > 0 and claim[2] + kept_ms(claim) <= now then return nil end
  return now + LOOK_AGAIN_MS
end

-- Suspects wait for nothing but places under these caps of one, and for a process.
local function claim_places(names)
  if not next(names) then return end
  for name in pairs(names) do
    local claim = claims_now()[name] or { name, 0, now, 0 }
    claim[3] = now
    if claim[2] > 0 and claim[2] + 2 * kept_ms(claim) <= now then claim[2], claim[4] = 0, claim[4] + 1 end
    if claim[2] == 0 and running_under(name) == 0 then claim[2] = now end
    claims[name] = claim
  end
  write_claims()
end

-- A suspect starts under these.
local function end_claims(names)
  local changed = false
  for name in pairs(names) do
    if claims_now()[name] then claims[name], changed = nil, true end
  end
  if changed then write_claims() end
end
