-- Work that waits, the earliest first. A time has come when the clock, or the last time of its tree, has reached it; no tree is
-- ahead of the partition's latest time. An entry that says no longer what its row says is skipped, and with ARGV[5] removed: not
-- too many at a time, so that nobody waits for long; the answer begins with 1 where there may be more.
-- ARGV: the prefix, the sorted set, the time, how many, whether to remove ('1'; with 'all' also notices that wait for earlier
-- ones are told), and of who is about to take tasks: for how many milliseconds others shall look past them. That decides nothing;
-- it spares those who poll together from overtaking one another.

local P, key, now, limit, sweep = ARGV[1], ARGV[1] .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local what, clocks, rows, trees, types, first_open = string.sub(ARGV[2], 1, 1), {}, {}, {}, {}, {}
local horizon = redis.call('HGET', P .. 'head', 'latest') or '0'
if tonumber(horizon) < now then horizon = ARGV[3] end

local function root_of(id) return string.match(id, '^[^/]*') end

local function come(id, due)
  if due <= now then return true end
  local root = root_of(id)
  if not clocks[root] then clocks[root] = tonumber(redis.call('HGET', P .. 't:' .. root, 'clock') or '0') end
  return due <= clocks[root]
end

-- The text of a workflow's row, and its state; of one with tasks that are about to be taken all that its tree tells is read.
local function workflow(id, run)
  local field = id .. '\0' .. run
  if rows[field] == nil then
    local key = P .. 't:' .. root_of(id)
    if what == 'q' then
      trees[field] = redis.call('HMGET', key, 'run', 'version', 'clock', 'tasks', 'n' .. field, 'f' .. field)
      rows[field] = trees[field][6]
    else
      rows[field] = redis.call('HGET', key, 'f' .. field)
    end
  end
  return rows[field], rows[field] and string.match(rows[field], '^%["([A-Z_]+)"')
end

local function is_for_workers(id, run, no)
  local field = run .. ':' .. id
  if not types[field] then types[field] = cjson.decode(redis.call('HGET', P .. 'w:' .. field, 'y')) end
  return types[field][tonumber(no) + 1] ~= ''
end

-- Of the columns of a task: state, not before, expires, wakes.
local function columns(text)
  return string.match(text, '^([^|]*)|[^|]*|[^|]*|[^|]*|([^|]*)|([^|]*)|[^|]*|[^|]*|([^|]*)|')
end

local function least(a, b)
  if a == '' then return tonumber(b) end
  if b == '' then return tonumber(a) end
  return math.min(tonumber(a), tonumber(b))
end

-- What an entry asks for: nothing where its row says otherwise by now.
local function task(letter, no, run, id, due)
  local _, live = workflow(id, run)
  if live ~= 'RUNNING' and live ~= 'PAUSED' then return nil end
  local text = redis.call('HGET', P .. 'w:' .. run .. ':' .. id, tostring(tonumber(no)))
  if not text then return nil end
  local state, from, expires, wakes = columns(text)
  if state == 'IN_PROGRESS' and letter == 'a' and least(expires, wakes) == due then
    return tonumber(wakes) == due and 'ELAPSE' or 'EXPIRE'
  end
  if state ~= 'SCHEDULED' or live ~= 'RUNNING' then return nil end
  if letter == 'b' then return tonumber(expires) == due and 'EXPIRE' or nil end
  if tonumber(from) ~= due or (letter == 'a' and is_for_workers(id, run, no)) then return nil end
  return letter == 'q' and 'POLL' or 'WAKE'
end

local function delivery(state, place, run, id, topic, due)
  local text = redis.call('HGET', P .. 'w:' .. run .. ':' .. id, 'd' .. topic)
  local row = text and cjson.decode(text)
  if not row or row[1] ~= state or tonumber(row[place]) ~= due then return nil end
  return state == 'LEASED' and 'RELEASE' or 'CLAIM'
end

local function asked(entry, due)
  local letter, rest = what, entry
  if what == 'z' then letter, rest = string.sub(entry, 1, 1), string.sub(entry, 2) end
  if letter == 'q' or letter == 'a' or letter == 'b' then
    local no, run, id = string.match(rest, '^%d+|(%d+)|(%d+)|(.*)$')
    return task(letter, no, run, id, due), id, run, tostring(tonumber(no))
  end
  local run, id = string.match(rest, '^%d+|(%d+)|(.*)$')
  if letter == 'c' then
    local row, live = workflow(id, run)
    local come = (live == 'RUNNING' or live == 'PAUSED') and tonumber(cjson.decode(row)[10]) == due
    return come and 'TIME_OUT' or nil, id, run, ''
  end
  if letter == 'o' then
    local owner, name = string.match(id, '^(.*)%z(.*)$')
    if not owner then owner, name = id, string.sub(ARGV[2], 3) end
    return delivery('PENDING', 4, run, owner, name, due), owner, run, name
  end
  local owner, topic = string.match(id, '^(.*)%z(.*)$')
  return delivery('LEASED', 5, run, owner, topic, due), owner, run, topic
end

-- What a worker is about to take is told with its rows, as they stand now, and with all tasks of its workflow where these are few:
-- the commit compares them, and the result of the task leads to the next.
local FEW = 16

local function look(entry, name)
  local id, run, no, root = entry[2], entry[3], entry[4], root_of(entry[2])
  local tree, key = trees[id .. '\0' .. run], P .. 'w:' .. run .. ':' .. id
  for i = 1, 4 do entry[5 + i] = tree[i] end
  entry[10] = redis.call('LLEN', P .. 'h:' .. root)
  entry[11], entry[12] = tree[6], tree[5]
  entry[13] = redis.call('HLEN', key) <= FEW and 1 or 0
  entry[14] = entry[13] == 1 and redis.call('HGETALL', key) or {no, redis.call('HGET', key, no)}
  entry[15] = redis.call('HGET', P .. 'v:' .. run .. ':' .. id, no .. ':input')
  entry[16] = name
end

-- A row that is not here may be on its way to another node with the rest of its slot; what was purged is known to be gone.
local function is_missing(letter, id, run, rest)
  local root, place = root_of(id), P .. 'w:' .. run .. ':' .. id
  if redis.call('HEXISTS', P .. 'graves', root) == 1 then return false end
  local field = letter == 'c' and 'y' or ((letter == 'o' or letter == 'd') and 'd' .. rest) or rest
  return redis.call('EXISTS', P .. 't:' .. root) == 0 or redis.call('HEXISTS', place, field) == 0
end

-- The turn of the first open notice of a workflow: its version, and whether it is of another status than RUNNING, which comes first.
local function first_turn(id, topic)
  if first_open[id] then return first_open[id] end
  local first = {math.huge, 1}
  for _, state in ipairs({'PENDING', 'LEASED'}) do
    local from, passed = '[' .. id .. '\0', false
    while not passed do
      local places = redis.call('ZRANGEBYLEX', P .. 'x:' .. state, from, '(' .. id .. '\1', 'LIMIT', 0, 100)
      for _, place in ipairs(places) do
        local of, version, status = string.match(string.sub(place, #id + 2), '^%d+%z([^%z]*)%z(%d+)%z(.*)$')
        if of == topic then
          local turn = {tonumber(version), status == 'RUNNING' and 0 or 1}
          if turn[1] > first[1] then passed = true break end
          if turn[1] < first[1] or turn[2] < first[2] then first = turn end
        end
      end
      if #places < 100 then break end
      from = '(' .. places[#places]
    end
  end
  first_open[id] = first
  return first
end

local function in_turn(id, name)
  local topic, version, status = string.match(name, '^(.*)@(%d+)%.(.*)$')
  if what ~= 'o' or not version or ARGV[5] == 'all' then return true end
  local first, own = first_turn(id, topic), {tonumber(version), status == 'RUNNING' and 0 or 1}
  return own[1] < first[1] or (own[1] == first[1] and own[2] <= first[2])
end

local hold, clock = tonumber(ARGV[6] or ''), nil

local function milliseconds()
  if not clock then
    local time = redis.call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end

-- What is held is neither logged nor replicated: it is worth nothing in a moment.
local function note(...)
  redis.set_repl(redis.REPL_NONE)
  redis.call(...)
  redis.set_repl(redis.REPL_ALL)
end

if hold and hold > 0 then note('ZREMRANGEBYSCORE', P .. 'r', '-inf', milliseconds()) end

local function is_free(entry)
  local taken = hold and redis.call('ZSCORE', P .. 'r', entry)
  return not taken or tonumber(taken) <= milliseconds()
end

local found, stale, offset, size = {}, {}, 0, math.min(hold and hold > 0 and limit + 4 or limit, 500)
while #found < limit and (#stale < 2000 or not sweep) do
  local batch = redis.call('ZRANGEBYSCORE', key, '-inf', horizon, 'WITHSCORES', 'LIMIT', offset, size)
  if #batch == 0 then break end
  offset, size = offset + #batch / 2, math.min(8 * size, 500)
  for i = 1, #batch, 2 do
    if is_free(batch[i]) then
      local due = tonumber(batch[i + 1])
      local command, id, run, rest = asked(batch[i], due)
      if not command then
        local letter = what == 'z' and string.sub(batch[i], 1, 1) or what
        if not is_missing(letter, id, run, rest) then stale[#stale + 1] = batch[i] end
      elseif come(id, due) and in_turn(id, rest) then
        local entry = {command, id, run, rest, batch[i + 1]}
        if what == 'q' then look(entry, batch[i]) end
        if hold and hold > 0 then note('ZADD', P .. 'r', milliseconds() + hold, batch[i]) end
        found[#found + 1] = entry
        if #found == limit then break end
      end
    end
  end
end
if sweep then
  for first = 1, #stale, 4000 do redis.call('ZREM', key, unpack(stale, first, math.min(first + 3999, #stale))) end
end
return {#stale >= 2000 and sweep and 1 or 0, found}
