-- One commit: compare everything that was read, then write everything, or nothing at all. Nothing is written before the last
-- thing is compared and every key that is to be written is known to be of its type.
-- ARGV: the prefix of the partition's keys; then what follows, or a text of it all with 1f between each and the next, and how
-- many there are: its schema (empty: not asked for); then lists, each with its length before it:
--   trees: root, run, the time of the decision; its version and its lines of history (empty: whatever they are); how many counters,
--     of each: where they are, how they were, how they are then, how many tasks move them
--   fields of hashes: key, field, what it is expected to be ('-' nothing, '#...' what has this digest)
--   queues: key, the entry that is expected to be the first
--   commands that nobody may have given an outcome, under the tree or under none: root, id
-- Then comes what is written, which another file reads.

local A, P, call = ARGV, ARGV[1], redis.call
if #A == 3 then
  local find, sub, text, number, from = string.find, string.sub, A[2], 1, 1
  local to = find(text, '\31', 1, true)
  A = {P}
  while to do
    number = number + 1
    A[number] = sub(text, from, to - 1)
    from = to + 1
    to = find(text, '\31', from, true)
  end
  A[number + 1] = sub(text, from)
  if number ~= tonumber(ARGV[3]) then return {'apart'} end
end
local at, versions, moved, others, late, known = 4, {}, {}, {}, nil, {}

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
  local root, version, lines, counters = A[at], A[at + 3], A[at + 4], tonumber(A[at + 5])
  local key, one = P .. 't:' .. root, counters == 1
  local tree = call('HMGET', key, 'run', 'version', 'clock', one and A[at + 6] or 'tasks')
  if tree[1] ~= A[at + 1] then return {'stopped', key .. ' run'} end
  if version ~= '' and tree[2] ~= version then return {'stopped', key .. ' version'} end
  if lines ~= '' and call('LLEN', P .. 'h:' .. root) ~= tonumber(lines) then return {'stopped', key .. ' version'} end
  if tonumber(tree[3]) > tonumber(A[at + 2]) then
    late = late or {}
    late[root] = {A[at + 2], tree[3]}
  end
  versions[root] = tonumber(tree[2])
  at = at + 6
  for _ = 1, counters do
    local name, before, to = A[at], A[at + 1], A[at + 2]
    local after = counted(one and tree[4] or not one and call('HGET', key, name), before, to, A[at + 3])
    if not after then return {'stopped', key .. ' ' .. name} end
    if to ~= before then
      moved[root] = moved[root] or {}
      moved[root][#moved[root] + 1] = name
      moved[root][#moved[root] + 1] = after
    end
    if to ~= after then  -- somebody else moved them, too
      others[root] = others[root] or {}
      others[root][#others[root] + 1] = name
      others[root][#others[root] + 1] = after
    end
    at = at + 4
  end
end

local last = at + 3 * A[at]
at = at + 1
while at < last do
  local key, first, names, values = A[at], at, {}, nil
  known[key] = true
  repeat
    names[#names + 1] = A[at + 1]
    at = at + 3
  until at > last or A[at] ~= key or #names == 4000
  if names[2] then values = call('HMGET', key, unpack(names)) else values = {call('HGET', key, names[1])} end
  for i, name in ipairs(names) do
    if not is_same(values[i], A[first + 3 * i - 1]) then return {'stopped', key .. ' ' .. name} end
  end
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
