-- One commit: compare everything that was read, then write everything, or nothing at all. Nothing is written before the last
-- thing is compared and every key that is to be written is known to be of its type.
-- ARGV: the prefix of the partition's keys; its schema (empty: not asked for); then lists, each with its length before it:
--   trees: root, run, the time of the decision; its version and its lines of history (empty: whatever they are); how many counters,
--     how many rows; their fields; for each counter how it was, how it is then, how many tasks move it; for each row what it is
--     expected to be
--   hashes: key, how many fields, the fields, then what each is expected to be ('-' nothing, '#...' what has this digest)
--   queues: key, the entry that is expected to be the first
--   commands that nobody may have given an outcome, under the tree or under none: root, id
--   keys to be written that were not read: what gives the size of such a one, key
-- Then comes what is written, which another file reads.

local A, P, call = ARGV, ARGV[1], redis.call
local at, versions, moved, others, late = 4, {}, {}, {}, nil

local function numbers(text)
  local found = {}
  for each in string.gmatch(text, '-?%d+') do found[#found + 1] = tonumber(each) end
  return found
end

local function is_same(value, expected)
  if expected == '-' then return not value end
  return value == expected or (value and string.byte(expected) == 35 and '#' .. redis.sha1hex(value) == expected)
end

-- Counters as they are after a commit; nothing where its decision would have been another. They may have moved meanwhile where
-- nobody could tell: a decision reads of each only whether it is 0. Of so many tasks that move it by 1 each, and by so much
-- together, no more than `downs` can have made it less.
local function counted(value, before, after, moves)
  if value == before then return after end
  if not value then return nil end
  local now, from, to = numbers(value), numbers(before), numbers(after)
  for i = 1, #from do
    local downs = math.floor((moves - (to[i] - from[i])) / 2)
    if now[i] ~= from[i] and not (now[i] > downs and from[i] > downs) then return nil end
    now[i] = now[i] + to[i] - from[i]
  end
  return table.concat(now, ',')
end

local head = call('HMGET', P .. 'head', 'schema', 'latest')
if A[2] ~= '' and head[1] ~= A[2] then return {'stopped', P .. 'head schema'} end

for _ = 1, A[3] do
  local root, version, lines, first, counters = A[at], A[at + 3], A[at + 4], at + 7, tonumber(A[at + 5])
  local key, behind = P .. 't:' .. root, first + counters + A[at + 6]
  local tree = call('HMGET', key, 'run', 'version', 'clock', unpack(A, first, behind - 1))
  if tree[1] ~= A[at + 1] then return {'stopped', key .. ' run'} end
  if version ~= '' and tree[2] ~= version then return {'stopped', key .. ' version'} end
  if lines ~= '' and call('LLEN', P .. 'h:' .. root) ~= tonumber(lines) then return {'stopped', key .. ' version'} end
  if tonumber(tree[3]) > tonumber(A[at + 2]) then
    late = late or {}
    late[root] = {A[at + 2], tree[3]}
  end
  versions[root] = tonumber(tree[2])
  at = behind
  for i = 4, 3 + counters do
    local after = counted(tree[i], A[at], A[at + 1], A[at + 2])
    if not after then return {'stopped', key .. ' ' .. A[first + i - 4]} end
    if A[at + 1] ~= A[at] then
      moved[root] = moved[root] or {}
      moved[root][#moved[root] + 1] = A[first + i - 4]
      moved[root][#moved[root] + 1] = after
    end
    if A[at + 1] ~= after then  -- somebody else moved them, too
      others[root] = others[root] or {}
      others[root][#others[root] + 1] = A[first + i - 4]
      others[root][#others[root] + 1] = after
    end
    at = at + 3
  end
  for i = 4 + counters, 3 + behind - first do
    if not is_same(tree[i], A[at]) then return {'stopped', key .. ' ' .. A[first + i - 4]} end
    at = at + 1
  end
end

local hashes = A[at]
at = at + 1
for _ = 1, hashes do
  local key, n = A[at], tonumber(A[at + 1])
  local first = at + 1 + n
  if n == 1 then
    if not is_same(call('HGET', key, A[at + 2]), A[at + 3]) then return {'stopped', key .. ' ' .. A[at + 2]} end
  else
    for i, value in ipairs(call('HMGET', key, unpack(A, at + 2, first))) do
      if not is_same(value, A[first + i]) then return {'stopped', key .. ' ' .. A[at + 1 + i]} end
    end
  end
  at = first + n + 1
end

local firsts = A[at]
at = at + 1
for _ = 1, firsts do
  if call('ZRANGE', A[at], 0, 0)[1] ~= A[at + 1] then return {'stopped', A[at] .. ' ' .. A[at + 1]} end
  at = at + 2
end

local ids = A[at]
for i = at + 1, at + 2 * ids, 2 do
  for _, key in ipairs({P .. 'c:', P .. 'c:' .. A[i]}) do
    if call('HEXISTS', key, A[i + 1]) ~= 0 then return {'stopped', key .. ' ' .. A[i + 1]} end
  end
end
at = at + 1 + 2 * ids

local sizes = A[at]
at = at + 1
for _ = 1, sizes do
  local size = redis.pcall(A[at], A[at + 1])
  if type(size) == 'table' then return redis.error_reply('WRONGTYPE ' .. A[at + 1] .. ' is not for ' .. A[at]) end
  at = at + 2
end
