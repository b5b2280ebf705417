-- Writing what is known before, rows that were read or are new. Lists again, each with its length before it:
--   plans: root, time, by how much its version rises; how many fields of the tree, these; how many lines of history, these
--   what is counted in the partition: name, by how much
--   records of outcomes: the tree, the command, the time, the version that it expected, text
-- Then come commands until the end, each with its length before it: name, key, arguments.

-- The tree may have come to a later time than that of the decision. It is as if it had been taken then, where nothing that was
-- read or is written tells of a time in between: the history tells the later one, and so do rows of when they changed.
local function put_off()
  local from, to = math.huge, 0
  for _, times in pairs(late) do from, to = math.min(from, times[1]), math.max(to, times[2]) end
  for i = 4, #A do
    if string.byte(A[i]) == 35 then return false end
    for each in string.gmatch(A[i], '%d+') do
      local time = tonumber(each)
      if time > from and time <= to then return false end
    end
  end

  local function change(first, last, times)
    for i = first, last, 2 do
      local before, behind = string.match(A[i], '^(%[?"?[A-Z_]+[|"][,"]*)' .. times[1] .. '([|"].*)$')
      if before then A[i] = before .. times[2] .. behind end
    end
  end

  local i = at + 1
  for _ = 1, A[at] do
    local last = i + 3 + A[i + 3]
    if late[A[i]] then change(i + 5, last, late[A[i]]) end
    i = last + 2 + A[last + 1]
  end
  i = i + 1 + 2 * A[i]
  i = i + 1 + 5 * A[i]
  while i < #A do
    local root, last = string.match(A[i + 2], '^w:%d+:([^/]*)', #P + 1), i + A[i]
    if root and late[root] and A[i + 1] == 'HSET' then
      for k = i + 3, last, 2 do
        if string.byte(A[k]) == 100 then return false end  -- a delivery
      end
      change(i + 4, last, late[root])
    end
    i = last + 1
  end
  return true
end

local function in_parts(name, key, values, first, last)
  local answer
  for i = first, last, 4000 do answer = call(name, key, unpack(values, i, math.min(i + 3999, last))) end
  return answer
end

if late and not put_off() then return {'stopped', P .. 't:' .. next(late) .. ' clock'} end

-- The list behind the plans, and whether each key that is written is of its type: nothing may fail once something is written.
local behind, sizes = at + 1, {HSET = 'HLEN', HDEL = 'HLEN', ZADD = 'ZCARD', ZREM = 'ZCARD'}
local function checked(name, key)
  if known[key] then return end
  known[key] = true
  local size = redis.pcall(name, key)
  if type(size) == 'table' then return redis.error_reply('WRONGTYPE ' .. key .. ' is not for ' .. name) end
end

for _ = 1, A[at] do
  local wrong = A[at] ~= '1' and checked('LLEN', P .. 'h:' .. A[behind])  -- that of a single one is written first
  if wrong then return wrong end
  behind = behind + 4 + A[behind + 3]
  behind = behind + 1 + A[behind]
end
local records = behind + 1 + 2 * A[behind]
local first = records + 1 + 5 * A[records]
local wrong = A[records] ~= '0' and checked('ZCARD', P .. 'ct')
local i = first
while i < #A and not wrong do
  wrong = checked(sizes[A[i + 1]], A[i + 2])
  i = i + 1 + A[i]
end
if wrong then return wrong end

local latest, answer, changed = head[2] or '0', {'done'}, {}
for _ = 1, A[at] do
  local root, now, n = A[at + 1], A[at + 2], tonumber(A[at + 4])
  local version, times, more = (versions[root] or 0) + A[at + 3], late and late[root], moved[root]
  if #now > #latest or (#now == #latest and now > latest) then latest = now end
  if times and tonumber(times[2]) > tonumber(now) then now = times[2] else times = nil end
  local first, key, text, length = at + 6 + n, P .. 't:' .. root, string.format('%.0f', version), nil
  local lines, start = tonumber(A[first - 1]), '[' .. text .. ','
  if lines > 0 then
    for i = first, first + lines - 1 do
      A[i] = start .. (times and string.gsub(A[i], '^(%-?%d+),%d+', '%1,' .. now, 1) or A[i]) .. ']'
    end
    length = in_parts('RPUSH', P .. 'h:' .. root, A, first, first + lines - 1)
  end
  if lines > 0 and n <= 4000 and not more then
    call('HSET', key, 'version', text, 'clock', now, unpack(A, at + 5, at + 4 + n))
  else
    local fields = lines > 0 and {'version', text, 'clock', now} or {}
    for _, each in ipairs(more or {}) do fields[#fields + 1] = each end
    for i = at + 5, at + 4 + n do fields[#fields + 1] = A[i] end
    in_parts('HSET', key, fields, 1, #fields)
    moved[root] = nil
  end
  versions[root], answer[#answer + 1] = version, {version, length or call('LLEN', P .. 'h:' .. root)}
  if times or others[root] then answer[#answer] = {version, answer[#answer][2], others[root] or {}, times and now or ''} end
  at = first + lines - 1
end

at = first
while at < #A do
  local last = at + A[at]
  call(unpack(A, at + 1, last))
  at = last + 1
end

if A[behind] ~= '0' then
  local names, steps = {}, {}
  for i = 1, A[behind] do names[i], steps[i] = A[behind + 2 * i - 1], A[behind + 2 * i] end
  for i, value in ipairs(call('HMGET', P .. 'head', unpack(names))) do
    changed[2 * i - 1], changed[2 * i] = names[i], string.format('%.0f', (tonumber(value or '0') or 0) + steps[i])
  end
end
if latest ~= (head[2] or '0') then
  changed[#changed + 1] = 'latest'
  changed[#changed + 1] = latest
end
if changed[1] then call('HSET', P .. 'head', unpack(changed)) end

-- What came of a command is known only here: the version that it got.
for i = records + 1, records + 5 * A[records], 5 do
  local root, id, version, text = A[i], A[i + 1], versions[A[i]], A[i + 4]
  if A[i + 3] ~= '' and tonumber(A[i + 3]) ~= version then
    local record = cjson.decode(text)
    local outcome = cjson.decode(record[2])
    outcome.version = version
    record[2] = cjson.encode(outcome)
    text = cjson.encode(record)
  end
  call('HSET', P .. 'c:' .. root, id, text)
  call('ZADD', P .. 'ct', A[i + 2], root .. '\0' .. id)
end
return answer
