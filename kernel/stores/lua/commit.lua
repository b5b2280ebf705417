-- Doing it: each operation gathers what it writes, then all is written.

while at <= #ARGV do
  local op = take()
  local act = compare[op] or write[op]
  local stopped = act()
  if stopped then return {'stopped', stopped} end
end

local function checked(found, kind)
  for key in pairs(found) do
    local is = seen[key] and kind or redis.call('TYPE', key)['ok']  -- fields of it were read
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
