-- How many workflows a tree has in its present run: the indexes by state have no others.
-- ARGV: the prefix, the root, the states.

local root, found = ARGV[2], 0
for i = 3, #ARGV do
  local key = ARGV[1] .. 'i:' .. ARGV[i]
  found = found + redis.call('ZLEXCOUNT', key, '[' .. root .. '\0', '(' .. root .. '\1')
                + redis.call('ZLEXCOUNT', key, '[' .. root .. '/', '(' .. root .. '0')
end
return found
