-- Writing what is known before, rows that were read or are new. Lists again, each with its length before it:
--   commands: name, key, how many arguments, these
--   what is counted in the partition: name, by how much
--   records of outcomes: key, command, the tree, the version that it expected, text
--   plans: root, time, by how much its version rises; how many fields of the tree, these; how many lines of history, these

-- The tree may have come to a later time than that of the decision. It is as if it had been taken then, where nothing that was
-- read or is written tells of a time in between: the history tells the later one, and so do rows of when they changed.
local function put_off()
  local from, to = math.huge, 0
  for _, times in pairs(late) do from, to = math.min(from, times[1]), math.max(to, times[2]) end

  local function is_between(text)
    for each in string.gmatch(text, '%d+') do
      local time = tonumber(each)
      if time > from and time <= to then return true end
    end
  end

  local i = hashes + 1
  for _ = 1, A[hashes] do
    local n = tonumber(A[i + 1])
    for j = i + 2 + n, i + 1 + 2 * n do
      if string.byte(A[j]) == 35 or is_between(A[j]) then return false end
    end
    i = i + 2 + 2 * n
  end
  i = at + 1
  for _ = 1, A[at] do
    local kind, rest, last = string.sub(A[i + 1], #P + 1, #P + 2), string.sub(A[i + 1], #P + 3), i + 2 + A[i + 2]
    local times = late[kind == 'f:' and rest or (kind == 'w:' and string.match(rest, '^%d+:([^/]*)'))]
    for j = i + 4, times and A[i] == 'HSET' and last or 0, 2 do
      if is_between(A[j]) or (kind == 'w:' and string.byte(A[j - 1]) == 100) then return false end  -- of a delivery
      local before, behind = string.match(A[j], '^(%[?"?[A-Z_]+[|"][,"]*)' .. times[1] .. '([|"].*)$')
      if before then A[j] = before .. times[2] .. behind end
    end
    i = last + 1
  end
  return true
end

if late and not put_off() then return {'stopped', P .. 't:' .. next(late) .. ' clock'} end

for _ = 1, A[counters] do
  local i = counters + 1
  if A[i + 3] ~= A[i + 2] then call('HSET', A[i], A[i + 1], A[i + 3]) end
  counters = counters + 5
end
for _ = 1, A[at] do
  local last = at + 3 + A[at + 3]
  call(A[at + 1], A[at + 2], unpack(A, at + 4, last))
  at = last
end

local counted, names, steps, changed = A[at + 1], {}, {}, {}
at = at + 2
for i = 1, counted do names[i], steps[i], at = A[at], A[at + 1], at + 2 end
if names[1] then
  for i, value in ipairs(call('HMGET', P .. 'head', unpack(names))) do
    changed[2 * i - 1], changed[2 * i] = names[i], string.format('%.0f', (tonumber(value or '0') or 0) + steps[i])
  end
end

local records = at
at = at + 1 + 5 * A[records]

local latest, answer = head[2] or '0', {'done'}
for _ = 1, A[at] do
  local root, now, n = A[at + 1], A[at + 2], tonumber(A[at + 4])
  local version, times = (versions[root] or 0) + A[at + 3], late and late[root]
  if #now > #latest or (#now == #latest and now > latest) then latest = now end
  if times and tonumber(times[2]) > tonumber(now) then now = times[2] else times = nil end
  local first, text, length = at + 6 + n, string.format('%.0f', version), 0
  local lines, start = tonumber(A[first - 1]), '[' .. text .. ','
  if lines > 0 then
    for i = first, first + lines - 1 do
      A[i] = start .. (times and string.gsub(A[i], '^(%-?%d+),%d+', '%1,' .. now, 1) or A[i]) .. ']'
    end
    call('HSET', P .. 't:' .. root, 'version', text, 'clock', now, unpack(A, at + 5, at + 4 + n))
    for i = first, first + lines - 1, 4000 do
      length = call('RPUSH', P .. 'h:' .. root, unpack(A, i, math.min(i + 3999, first + lines - 1)))
    end
  end
  versions[root], answer[#answer + 1] = version, {version, length}
  at = first + lines - 1
end

if latest ~= (head[2] or '0') then
  changed[#changed + 1] = 'latest'
  changed[#changed + 1] = latest
end
if changed[1] then call('HSET', P .. 'head', unpack(changed)) end

-- What came of a command is known only here: the version that it got.
for i = records + 1, records + 5 * A[records], 5 do
  local version, text = versions[A[i + 2]], A[i + 4]
  if A[i + 3] ~= '' and tonumber(A[i + 3]) ~= version then
    local record = cjson.decode(text)
    local outcome = cjson.decode(record[2])
    outcome.version = version
    record[2] = cjson.encode(outcome)
    text = cjson.encode(record)
  end
  call('HSET', A[i], A[i + 1], text)
end
return answer
