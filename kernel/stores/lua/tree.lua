-- Everything that the audit reads of one tree, in one look. ARGV: the prefix, the root.

local P, root = ARGV[1], ARGV[2]
local rows, tasks = redis.call('HGETALL', P .. 'f:' .. root), {}
for i = 1, #rows, 2 do
  local id, run = string.match(rows[i], '^(.*)%z(%d+)$')
  tasks[#tasks + 1] = rows[i]
  tasks[#tasks + 1] = redis.call('HGETALL', P .. 'w:' .. run .. ':' .. id)
end
return {redis.call('HMGET', P .. 't:' .. root, 'run', 'version', 'clock', 'tasks'), rows, redis.call('HGETALL', P .. 'n:' .. root), tasks}
