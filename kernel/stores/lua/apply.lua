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
-- What is there afterwards, and (false) what is not: of a hash each name comes before its value, of a sorted set behind it.
local function change(put, drop, key, members)
  local puts, drops = {}, {}
  for name, value in pairs(members) do
    if value then
      puts[#puts + 1] = put == 'HSET' and name or value
      puts[#puts + 1] = put == 'HSET' and value or name
    else
      drops[#drops + 1] = name
    end
  end
  in_parts(put, key, puts)
  in_parts(drop, key, drops)
end

for key, fields in pairs(sets) do change('HSET', 'HDEL', key, fields) end
for key, members in pairs(zsets) do change('ZADD', 'ZREM', key, members) end
for key, values in pairs(lists) do in_parts('RPUSH', key, values) end
local answer = {'done'}
for i, each in ipairs(plans) do answer[i + 1] = each end
return answer
