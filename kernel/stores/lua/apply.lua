-- Doing it: each operation gathers what it writes, then all is written.

while at <= #A do
  local stopped = write[take()]()
  if stopped then return {'stopped', stopped} end
end

local function checked(found, kind)
  for key in pairs(found) do
    local is = call('TYPE', key)['ok']
    if is ~= 'none' and is ~= kind then return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. is .. ', not a ' .. kind) end
  end
end

local wrong = checked(sets, 'hash') or checked(zsets, 'zset') or checked(lists, 'list')
if wrong then return wrong end

local function in_parts(name, key, values)
  for first = 1, #values, 4000 do call(name, key, unpack(values, first, math.min(first + 3999, #values))) end
end

for _, key in ipairs(gone) do call('DEL', key) end
for key, fields in pairs(sets) do
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
for key, values in pairs(lists) do in_parts('RPUSH', key, values) end
local answer = {'done'}
for i, each in ipairs(plans) do answer[i + 1] = each end
return answer
