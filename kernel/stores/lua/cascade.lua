-- What reaches rows that were not read: a cascade, one event for every row behind a link, found as the operations before it left
-- them; what is set aside, or taken along into the next run; what is purged.

local function told(run, kind, workflow, subject, event, source, target, number, by, reason)
  line(table.concat({run, plan.now, cjson.encode(kind), cjson.encode(workflow), cjson.encode(subject), cjson.encode(event),
                     cjson.encode(source), cjson.encode(target), 0, number, cjson.encode(by), cjson.encode(plan.actor),
                     cjson.encode(reason), cjson.encode(plan.command)}, ','))
end

local function before(a, b)  -- by bytes, whatever the server's locale is
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function sorted(found)
  local names = {}
  for name in pairs(found) do names[#names + 1] = name end
  table.sort(names, before)
  return names
end

local function in_scope(link, anchor, id)
  local below = string.sub(id, 1, #anchor + 1) == anchor .. '/'
  if link == 'tasks' then return id == anchor end
  if link == 'children' then return below and not string.find(id, '/', #anchor + 2, true) end
  return below or (link == 'all_tasks' and id == anchor)
end

-- The workflows behind a link, in the present run: id -> the row's columns.
local function scope(link, anchor, run)
  local found = {}
  for field, text in pairs(all(P .. 't:' .. plan.root)) do
    local id, of = string.match(field, '^f(.*)%z(%d+)$')
    if of == run and in_scope(link, anchor, id) then found[id] = cjson.decode(text) end
  end
  return found
end

local function each_task(id, run, n, act)
  local key, size = P .. 'w:' .. run .. ':' .. id, 2000
  local changed = sets[key] or {}
  for first = 0, n - 1, size do
    local fields = {}
    for no = first, math.min(first + size, n) - 1 do fields[#fields + 1] = tostring(no) end
    local texts = call('HMGET', key, unpack(fields))
    for i, field in ipairs(fields) do
      local text = changed[field]
      if text == nil then text = texts[i] end
      if not text then error(redis.error_reply('TRYAGAIN ' .. key .. ' lacks task ' .. field .. ': its slot is being moved')) end
      act(key, field, text)
    end
  end
end

local function member(row, no, run, id)
  return string.format('%012d|%06d|%s|%s', row[14], no, run, id)
end

-- The columns of a task: state, changed, attempt, handouts, not before, expires, end of the attempt, end of all attempts, wakes,
-- signalled, counters, the length of the worker's name; then that name and the reason.
local function parts(text)
  local found, from = {}, 1
  for i = 1, 12 do
    local to = string.find(text, '|', from, true)
    found[i] = string.sub(text, from, to - 1)
    from = to + 1
  end
  found[13] = string.sub(text, from)
  return found
end

local function shift(c, types, id, row, key, no, text)
  local part, name = parts(text), member(row, tonumber(no), c.run, id)
  local far = tonumber(plan.now) - math.max(tonumber(row[12]), tonumber(part[2]))
  for i = 5, 8 do
    if part[i] ~= '' then part[i] = string.format('%.0f', tonumber(part[i]) + far) end
  end
  part[1], part[2] = c.target, plan.now
  put(key, no, table.concat(part, '|'))
  local queue = types[tonumber(no) + 1]
  if queue ~= '' then score(P .. 'q:' .. queue, name, part[5]) else score(P .. 'z', 'a' .. name, part[5]) end
  if part[6] ~= '' then score(P .. 'z', 'b' .. name, part[6]) end
end

local function closed(c, key, no, text)
  local rest = string.match(text, '^[^|]*|[^|]*|(.*)$')
  if string.sub(rest, -3) ~= '|0|' then  -- there is a worker, or a reason, which is not that of the new state
    local part = parts(text)
    part[13] = string.sub(part[13], 1, tonumber(part[12]))
    rest = table.concat(part, '|', 3)
  end
  put(key, no, c.target .. '|' .. plan.now .. '|' .. rest)
end

local function task_cascade(c)
  for _, id in ipairs(sorted(c.scope)) do
    local row, moved, types = c.scope[id], {}, nil
    if c.event == 'SHIFT' then types = cjson.decode(get(P .. 'w:' .. c.run .. ':' .. id, 'y')) end
    if c.event ~= 'SHIFT' or (row[1] == 'PAUSED' and row[11] == c.origin) then
      each_task(id, c.run, row[15], function(key, no, text)
        local state = string.match(text, '^([A-Z_]+)')
        if c.sources[state] then
          moved[state] = (moved[state] or 0) + 1
          if c.event == 'SHIFT' then shift(c, types, id, row, key, no, text) else closed(c, key, no, text) end
        end
      end)
    end
    for _, source in ipairs(sorted(moved)) do
      if source ~= c.target then told(c.run, 'task', id, '', c.event, source, c.target, moved[source], c.by, c.reason) end
      if c.target == 'CANCELED' then tally[2] = tally[2] + moved[source] end
    end
  end
end

local function delivery(c, id, row, topic, due, status, cause)
  local name, place = topic, id .. '\0' .. string.format('%010d', c.run) .. '\0' .. topic
  local entry = string.format('%012d|%s|%s', row[14], c.run, id)
  if status ~= '' then
    name = string.format('%s@%.0f.%s', topic, plan.version, status)
    place, entry = place .. '\0' .. string.format('%019.0f', plan.version) .. '\0' .. status, entry .. '\0' .. name
  end
  put(P .. 'w:' .. c.run .. ':' .. id, 'd' .. name,
      cjson.encode({'PENDING', 0, 0, due, '', '', '', plan.now, c.sends, c.lease, cause or ''}))
  score(P .. 'x:PENDING', place, 0)
  score(P .. 'o:' .. topic, entry, due)
  score(P .. 'topics', topic, 0)
  count('deliveries', 1)
  tally[3] = tally[3] + 1
  told(c.run, 'delivery', id, name, 'CREATE', 'ABSENT', 'PENDING', 1, 'CREATE', '')
end

local function workflow_cascade(c)
  local moved, was = {}, {}
  for _, id in ipairs(sorted(c.scope)) do
    local row = c.scope[id]
    if c.sources[row[1]] and (c.event ~= 'RESUME' or row[11] == c.origin) then
      if c.told and not c.told[tostring(row[8])] then return 'definition ' .. row[8] end
      moved[#moved + 1], was[id] = id, row[1]
      local index = id .. '\0' .. c.run
      score(P .. 'i:' .. row[1], index, false)
      score(P .. 'i:' .. c.target, index, 0)
      if row[1] ~= c.target then told(c.run, 'workflow', id, '', c.event, row[1], c.target, 1, c.by, c.reason) end
      row[1], row[2], row[13] = c.target, plan.now, c.reason
      if c.event == 'PAUSE' then row[11], row[12] = c.origin, plan.now end
      if c.event == 'RESUME' then row[11], row[12] = '', '0' end
      put(P .. 't:' .. plan.root, 'f' .. index, cjson.encode(row))
      if c.ends then tally[1] = tally[1] + 1 end
    end
  end
  for _, id in ipairs(c.told and moved or {}) do
    for _, each in ipairs(c.told[tostring(c.scope[id][8])]) do
      delivery(c, id, c.scope[id], each[1], each[2], each[3], each[4][was[id]])
    end
  end
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

write['P'] = function()
  local root, grave = take(), take()
  local rows = {}
  for field, text in pairs(all(P .. 't:' .. root)) do
    if string.sub(field, 1, 1) == 'f' then rows[string.sub(field, 2)] = text end
  end
  for place, text in pairs(rows) do
    local id, run = string.match(place, '^(.*)%z(%d+)$')
    local row, key = cjson.decode(text), P .. 'w:' .. run .. ':' .. id
    each_task(id, run, row[15], function() end)  -- nothing of it is elsewhere
    score(P .. 'i:' .. row[1], place, false)
    for name, each in pairs(all(key)) do
      if string.sub(name, 1, 1) == 'd' then
        local topic, version, status = string.match(name, '^d([^@]*)@(%d+)%.(.*)$')
        topic = topic or string.sub(name, 2)
        local turn = id .. '\0' .. string.format('%010d', run) .. '\0' .. topic
        local entry = string.format('%012d|%s|%s', row[14], run, id)
        if version then
          turn = turn .. '\0' .. string.format('%019.0f', version) .. '\0' .. status
          entry = entry .. '\0' .. string.sub(name, 2)
        end
        score(P .. 'x:' .. cjson.decode(each)[1], turn, false)
        score(P .. 'o:' .. topic, entry, false)
        count('deliveries', -1)
      elseif name ~= 'y' then
        count('tasks', -1)
      end
    end
    gone[#gone + 1], gone[#gone + 2] = key, P .. 'v:' .. run .. ':' .. id
    count('workflows', -1)
  end
  for _, id in ipairs(call('HKEYS', P .. 'c:' .. root)) do score(P .. 'ct', root .. '\0' .. id, false) end
  for _, kind in ipairs({'t', 'h', 'c', 'l'}) do
    gone[#gone + 1] = P .. kind .. ':' .. root
    sets[P .. kind .. ':' .. root] = nil
  end
  score(P .. 'trees', root, false)
  put(P .. 'graves', root, grave)
end
