-- What is written where a commit reaches rows that were not read: operations, each a letter and its arguments, in turn. Nothing
-- reaches the server before all have been done.

local sets, zsets, lists, gone, tally, plans, plan = {}, {}, {}, {}, nil, {}, nil

if late then return {'stopped', P .. 't:' .. next(late) .. ' clock'} end

local function take()
  at = at + 1
  return A[at - 1]
end

-- What is there, with what this commit has done to it so far.
local function get(key, field)
  local known = sets[key] and sets[key][field]
  if known ~= nil then return known end
  return call('HGET', key, field)
end

local function put(key, field, value)
  if not sets[key] then sets[key] = {} end
  sets[key][field] = value
end

local function all(key)
  local found, flat = {}, call('HGETALL', key)
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  for field, value in pairs(sets[key] or {}) do found[field] = value or nil end
  return found
end

local function score(key, member, value)
  if not zsets[key] then zsets[key] = {} end
  zsets[key][member] = value
end

local function count(field, by)
  put(P .. 'head', field, string.format('%.0f', tonumber(get(P .. 'head', field) or '0') + by))
end

local function line(rest)
  local key = P .. 'h:' .. plan.root
  if not lists[key] then lists[key] = {} end
  lists[key][#lists[key] + 1] = '[' .. plan.version .. ',' .. rest .. ']'
  put(P .. 't:' .. plan.root, 'version', string.format('%.0f', plan.version))
  put(P .. 't:' .. plan.root, 'clock', plan.now)
end

for root, fields in pairs(moved) do
  for i = 1, #fields, 2 do put(P .. 't:' .. root, fields[i], fields[i + 1]) end
end

local write = {}

write['G'] = function()
  plan = {root = take(), now = take(), actor = take(), command = take()}
  plan.version = tonumber(get(P .. 't:' .. plan.root, 'version') or '0') + tonumber(take())
  tally = {0, 0, 0}
  plans[#plans + 1] = {plan.version, 0, tally}
  if tonumber(plan.now) > tonumber(get(P .. 'head', 'latest') or '0') then put(P .. 'head', 'latest', plan.now) end
end

write['C'] = function()
  local n, name, key = tonumber(take()), take(), take()
  for _ = 3, n, (name == 'HSET' or name == 'ZADD') and 2 or 1 do
    local first = take()
    if name == 'HSET' then put(key, first, take())
    elseif name == 'ZADD' then score(key, take(), first)
    elseif name == 'HDEL' then put(key, first, false)
    else score(key, first, false) end
  end
end

write['T'] = function()
  for _ = 1, tonumber(take()), 2 do
    local field = take()
    put(P .. 't:' .. plan.root, field, take())
  end
end

-- A workflow, which a cascade of this commit may have moved before: it stands in the index of one state only.
write['W'] = function()
  local place, text = take(), take()
  local key, now = P .. 't:' .. plan.root, cjson.decode(text)[1]
  local before = get(key, 'f' .. place)
  before = before and cjson.decode(before)[1]
  if before and before ~= now then score(P .. 'i:' .. before, place, false) end
  score(P .. 'i:' .. now, place, 0)
  put(key, 'f' .. place, text)
end

write['E'] = function()
  local field = take()
  count(field, tonumber(take()))
end

write['L'] = function()
  for _ = 1, tonumber(take()) do line(take()) end
end

-- What came of a command is known only here: the version that it got, and what its cascades reached.
write['R'] = function()
  local root, id, when, version, text = take(), take(), take(), take(), take()
  if version ~= '' then
    local record = cjson.decode(text)
    local outcome = cjson.decode(record[2])
    outcome.version = plan.version
    outcome.ended, outcome.canceled = outcome.ended + tally[1], outcome.canceled + tally[2]
    outcome.deliveries = outcome.deliveries + tally[3]
    record[2] = cjson.encode(outcome)
    text = cjson.encode(record)
  end
  put(P .. 'c:' .. root, id, text)
  score(P .. 'ct', root .. '\0' .. id, when)
end
