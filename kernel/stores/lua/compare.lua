-- One commit: compare everything that was read, then write everything, or nothing at all. Nothing is written before the last
-- thing is compared and every key that is to be written is known to be of its type.
-- ARGV: the prefix of the partition's keys; its schema (empty: not asked for); then lists, each with its length before it:
--   trees: root, run, the time of the decision; its version and its lines of history (empty: whatever they are)
--   hashes: key, how many fields, the fields, then what each is expected to be ('-' nothing, '#...' what has this digest)
--   counters: key, field, as it was, as it is then, how many tasks move it
--   keys to be written that were not read: what gives the size of such a one, key
-- Then comes what is written, which another file reads.

local A, P, call = ARGV, ARGV[1], redis.call
local at, versions, late, counters = 4, {}, nil, nil

local function numbers(text)
  local found = {}
  for each in string.gmatch(text, '-?%d+') do found[#found + 1] = tonumber(each) end
  return found
end

local head = call('HMGET', P .. 'head', 'schema', 'latest')
if A[2] ~= '' and head[1] ~= A[2] then return {'stopped', P .. 'head schema'} end

for _ = 1, A[3] do
  local root, version = A[at], A[at + 3]
  local key = P .. 't:' .. root
  local tree = call('HMGET', key, 'run', 'version', 'clock')
  if tree[1] ~= A[at + 1] then return {'stopped', key .. ' run'} end
  if version ~= '' and tree[2] ~= version then return {'stopped', key .. ' version'} end
  if A[at + 4] ~= '' and call('LLEN', P .. 'h:' .. root) ~= tonumber(A[at + 4]) then return {'stopped', key .. ' version'} end
  if tonumber(tree[3]) > tonumber(A[at + 2]) then
    late = late or {}
    late[root] = {A[at + 2], tree[3]}
  end
  versions[root], at = tonumber(tree[2]), at + 5
end

local hashes = at
at = at + 1
for _ = 1, A[hashes] do
  local key, n = A[at], tonumber(A[at + 1])
  local values = n == 1 and {call('HGET', key, A[at + 2])} or call('HMGET', key, unpack(A, at + 2, at + 1 + n))
  local first = at + 1 + n
  for i = 1, n do
    local value, expected = values[i], A[first + i]
    local same = value == expected
    if expected == '-' then
      same = not value
    elseif not same and value and string.byte(expected) == 35 then
      same = '#' .. redis.sha1hex(value) == expected
    end
    if not same then return {'stopped', key .. ' ' .. A[at + 1 + i]} end
  end
  at = first + n + 1
end

-- A counter may have moved meanwhile where nobody could tell: a decision reads of it only whether it is 0. Of so many tasks that
-- move it by 1 each, and by so much together, no more than `downs` can have made it less.
counters, at = at, at + 1
for _ = 1, A[counters] do
  local key, field, before, after = A[at], A[at + 1], A[at + 2], A[at + 3]
  local value = call('HGET', key, field)
  if value ~= before then
    if not value then return {'stopped', key .. ' ' .. field} end
    local now, from, to = numbers(value), numbers(before), numbers(after)
    for i = 1, #from do
      local downs = math.floor((A[at + 4] - (to[i] - from[i])) / 2)
      if now[i] ~= from[i] and not (now[i] > downs and from[i] > downs) then return {'stopped', key .. ' ' .. field} end
      now[i] = now[i] + to[i] - from[i]
    end
    if after ~= before then A[at + 3] = table.concat(now, ',') end
  end
  at = at + 5
end

local sizes = A[at]
at = at + 1
for _ = 1, sizes do
  local size = redis.pcall(A[at], A[at + 1])
  if type(size) == 'table' then return redis.error_reply('WRONGTYPE ' .. A[at + 1] .. ' is not for ' .. A[at]) end
  at = at + 2
end
