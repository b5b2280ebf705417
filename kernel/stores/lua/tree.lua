-- Everything of one tree but its payloads, in one look; only what is counted where it has more tasks than that.
-- ARGV: the prefix, the root, how many tasks.

local P, root = ARGV[1], ARGV[2]
local t = redis.call('HMGET', P .. 't:' .. root, 'run', 'version', 'clock', 'tasks')
t[5] = redis.call('LLEN', P .. 'h:' .. root)
if not t[1] or tonumber(t[4]) > tonumber(ARGV[3]) then return {t} end

local rows, tasks = redis.call('HGETALL', P .. 'f:' .. root), {}
for i = 1, #rows, 2 do
  local id, run = string.match(rows[i], '^(.*)%z(%d+)$')
  tasks[#tasks + 1] = rows[i]
  tasks[#tasks + 1] = redis.call('HGETALL', P .. 'w:' .. run .. ':' .. id)
end
return {t, rows, redis.call('HGETALL', P .. 'n:' .. root), tasks}
