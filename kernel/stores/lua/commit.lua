-- What is written: each operation takes its arguments, and nothing reaches the server before all have been done.

local write = {}

write['G'] = function()
  plan = {root = take(), now = take(), actor = take(), command = take()}
  plan.version = tonumber(get(P .. 't:' .. plan.root, 'version') or '0') + tonumber(take())
  tally = {0, 0, 0}
  plans[#plans + 1] = {plan.version, tally, P .. 'h:' .. plan.root}
  if tonumber(plan.now) > tonumber(get(P .. 'head', 'latest') or '0') then put(P .. 'head', 'latest', plan.now) end
end

-- The names of notices hold the version that the decision expected.
write['V'] = function()
  if plan.version ~= tonumber(take()) then return P .. 't:' .. plan.root .. ' version' end
end

write['H'] = function()
  local key, n = take(), tonumber(take())
  for _ = 1, n do
    local field = take()
    put(key, field, take())
  end
end

-- A workflow, which a cascade of this commit may have moved before: it stands in the index of one state only.
write['W'] = function()
  local place, text = take(), take()
  local key, now = P .. 'f:' .. plan.root, cjson.decode(text)[1]
  local before = get(key, place)
  before = before and cjson.decode(before)[1]
  if before and before ~= now then score(P .. 'i:' .. before, place, false) end
  score(P .. 'i:' .. now, place, 0)
  put(key, place, text)
end

write['D'] = function()
  local key, n = take(), tonumber(take())
  for _ = 1, n do put(key, take(), false) end
end

write['B'] = function()
  local key, field, moved = take(), take(), numbers(take())
  local values = numbers(get(key, field))
  for i = 1, #values do values[i] = values[i] + moved[i] end
  put(key, field, table.concat(values, ','))
end

write['Z'] = function()
  local key, value = take(), take()
  score(key, take(), value)
end

write['z'] = function()
  local key = take()
  score(key, take(), false)
end

write['E'] = function()
  local field = take()
  count(field, tonumber(take()))
end

write['L'] = function()
  for _ = 1, tonumber(take()) do line(take()) end
end

write['X'] = function()
  local c = cjson.decode(take())
  c.scope = scope(c.link, c.workflow, c.run)
  if c.kind == 'task' then return task_cascade(c) end
  return workflow_cascade(c)
end

-- What is set aside stays behind with the run before: the rows are written by another operation, here the history of them.
write['A'] = function()
  local run, by, rows = take(), take(), cjson.decode(take())
  for _, row in ipairs(rows) do told(run, 'workflow', row[1], '', 'SET_ASIDE', row[3], 'ABSENT', 1, by, '') end
  for _, row in ipairs(rows) do
    local moved = {}
    each_task(row[1], row[2], row[4], function(_, _, text)
      local state = string.match(text, '^([A-Z_]+)')
      moved[state] = (moved[state] or 0) + 1
    end)
    for _, source in ipairs(sorted(moved)) do
      told(run, 'task', row[1], '', 'SET_ASIDE', source, 'ABSENT', moved[source], by, '')
    end
  end
end

-- A workflow that begins its next run takes with it what does not start again.
write['K'] = function()
  local id, was, run, left, again = take(), take(), take(), {}, {}
  for each in string.gmatch(take(), '%d+') do left[each] = true end
  for each in string.gmatch(take(), '%d+') do again[each .. ':definition'] = true end
  for field, text in pairs(all(P .. 'w:' .. was .. ':' .. id)) do
    if tonumber(field) and not left[field] then put(P .. 'w:' .. run .. ':' .. id, field, text) end
  end
  for field, text in pairs(all(P .. 'v:' .. was .. ':' .. id)) do
    if again[field] or not left[string.match(field, '^(-?%d+):')] then put(P .. 'v:' .. run .. ':' .. id, field, text) end
  end
end

-- What came of a command is known only here: the version that it got, and what its cascades reached.
write['R'] = function()
  local root, id, when, patch, text = take(), take(), take(), take(), take()
  if patch == '1' then
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

write['P'] = function()
  local root, grave = take(), take()
  for field, text in pairs(all(P .. 'f:' .. root)) do
    local id, run = string.match(field, '^(.*)%z(%d+)$')
    local row, key = cjson.decode(text), P .. 'w:' .. run .. ':' .. id
    each_task(id, run, row[15], function() end)  -- nothing of it is elsewhere
    score(P .. 'i:' .. row[1], field, false)
    for name, each in pairs(all(key)) do
      if string.sub(name, 1, 1) == 'd' then
        local topic, version, status = string.match(name, '^d([^@]*)@(%d+)%.(.*)$')
        topic = topic or string.sub(name, 2)
        local place = id .. '\0' .. string.format('%010d', run) .. '\0' .. topic
        local entry = string.format('%012d|%s|%s', row[14], run, id)
        if version then
          place = place .. '\0' .. string.format('%019.0f', version) .. '\0' .. status
          entry = entry .. '\0' .. string.sub(name, 2)
        end
        score(P .. 'x:' .. cjson.decode(each)[1], place, false)
        score(P .. 'o:' .. topic, entry, false)
        count('deliveries', -1)
      elseif name ~= 'y' then
        count('tasks', -1)
      end
    end
    gone[#gone + 1], gone[#gone + 2] = key, P .. 'v:' .. run .. ':' .. id
    count('workflows', -1)
  end
  for _, id in ipairs(redis.call('HKEYS', P .. 'c:' .. root)) do score(P .. 'ct', root .. '\0' .. id, false) end
  for _, kind in ipairs({'t', 'f', 'n', 'h', 'c', 'l'}) do
    gone[#gone + 1] = P .. kind .. ':' .. root
    hashes[P .. kind .. ':' .. root] = nil
  end
  score(P .. 'trees', root, false)
  put(P .. 'graves', root, grave)
end

-- ---- doing it

while at <= #ARGV do
  local op = take()
  local act = compare[op] or write[op]
  local stopped = act()
  if stopped then return {'stopped', stopped} end
end

local function checked(found, kind)
  for key in pairs(found) do
    local is = redis.call('TYPE', key)['ok']
    if is ~= 'none' and is ~= kind then return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is .. ', not a ' .. kind) end
  end
end

local wrong = checked(hashes, 'hash') or checked(zsets, 'zset') or checked(lists, 'list')
if wrong then return wrong end

local function in_parts(name, key, values)
  local answer
  for first = 1, #values, 4000 do answer = redis.call(name, key, unpack(values, first, math.min(first + 3999, #values))) end
  return answer
end

for _, key in ipairs(gone) do redis.call('DEL', key) end
for key, fields in pairs(hashes) do
  local puts, drops = {}, {}
  for field, value in pairs(fields) do
    if value then
      puts[#puts + 1] = field
      puts[#puts + 1] = value
    else
      drops[#drops + 1] = field
    end
  end
  in_parts('HSET', key, puts)
  in_parts('HDEL', key, drops)
end
for key, members in pairs(zsets) do
  local puts, drops = {}, {}
  for name, value in pairs(members) do
    if value then
      puts[#puts + 1] = value
      puts[#puts + 1] = name
    else
      drops[#drops + 1] = name
    end
  end
  in_parts('ZADD', key, puts)
  in_parts('ZREM', key, drops)
end
for key, values in pairs(lists) do lists[key] = in_parts('RPUSH', key, values) end
for _, each in ipairs(plans) do each[3] = lists[each[3]] or 0 end  -- how long its history is now
return {'done', unpack(plans)}
