-- One commit: compare everything that was read, then write everything, or nothing at all.
-- ARGV[1] is the prefix of the partition's keys; then come operations, each a letter and its arguments: comparisons first. Nothing is
-- written before the last of them is done and every key that is to be written is known to be of its type.

local P, at = ARGV[1], 2
local hashes, zsets, lists, gone, tally, plans = {}, {}, {}, {}, nil, {}
local seen, plan = {}, nil  -- what was compared, by key; and the plan whose operations are under way

local function take()
  at = at + 1
  return ARGV[at - 1]
end

-- ---- what is there, with what this commit has done to it so far

local function get(key, field)
  local known = hashes[key] and hashes[key][field]
  if known == nil then known = seen[key] and seen[key][field] end
  if known ~= nil then return known end
  return redis.call('HGET', key, field)
end

-- Fields as they stand, to be compared; what is known is not asked for again.
local function look(key, fields)
  local values, known = redis.call('HMGET', key, unpack(fields)), seen[key] or {}
  for i, field in ipairs(fields) do known[field] = values[i] end
  seen[key] = known
  return values
end

local function look_at(key, field)
  local value, known = redis.call('HGET', key, field), seen[key] or {}
  known[field], seen[key] = value, known
  return value
end

local function put(key, field, value)
  if not hashes[key] then hashes[key] = {} end
  hashes[key][field] = value
end

local function all(key)
  local found, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  for field, value in pairs(hashes[key] or {}) do found[field] = value or nil end
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

-- ---- comparing

local NONE, DIGEST = string.byte('-'), string.byte('#')

local function same(value, expected)
  local how = string.byte(expected)
  if how == NONE then return not value end
  if not value then return false end
  return (how == DIGEST and redis.sha1hex(value) or value) == string.sub(expected, 2)
end

local function numbers(text)
  local found = {}
  for each in string.gmatch(text, '-?%d+') do found[#found + 1] = tonumber(each) end
  return found
end

-- A counter may have moved meanwhile where nobody could tell: a decision reads of it only whether it is 0.
local function alike(value, expected, slack)
  if value == expected then return true end
  if not value then return false end
  local now, before = numbers(value), numbers(expected)
  for i = 1, #before do
    if now[i] ~= before[i] and not (now[i] > slack and before[i] > slack) then return false end
  end
  return true
end

local compare = {}

compare['C'] = function()
  local key, n = take(), tonumber(take())
  if n == 1 then
    local field = take()
    return not same(look_at(key, field), take()) and key .. ' ' .. field or nil
  end
  local fields, expected = {}, {}
  for i = 1, n do fields[i], expected[i] = take(), take() end
  local values = look(key, fields)
  for i = 1, n do
    if not same(values[i], expected[i]) then return key .. ' ' .. fields[i] end
  end
end

compare['N'] = function()
  local key, field, expected, slack = take(), take(), take(), tonumber(take())
  if not alike(look_at(key, field), expected, slack) then return key .. ' ' .. field end
end

compare['T'] = function()
  local root, run, now, version, lines = take(), take(), tonumber(take()), take(), take()
  local key = P .. 't:' .. root
  local tree = look(key, {'run', 'version', 'clock'})
  if tree[1] ~= run then return key .. ' run' end
  if tonumber(tree[3]) > now then return key .. ' clock' end
  if version ~= '' and (tree[2] ~= version or redis.call('LLEN', P .. 'h:' .. root) ~= tonumber(lines)) then
    return key .. ' version'
  end
end
