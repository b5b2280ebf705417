-- Everything of one tree but its payloads, in one look; only what is counted where it has more tasks than that.
-- ARGV: the prefix, the root, how many tasks.

local P, root = ARGV[1], ARGV[2]
local t = redis.call('HMGET', P .. 't:' .. root, 'run', 'version', 'clock', 'tasks')
t[5] = redis.call('LLEN', P .. 'h:' .. root)
if not t[1] or tonumber(t[4]) > tonumber(ARGV[3]) then return {t} end

local all, found = redis.call('HGETALL', P .. 't:' .. root), {f = {}, n = {}}
for i = 1, #all, 2 do
  local rows = string.find(all[i], '\0', 1, true) and found[string.sub(all[i], 1, 1)]
  if rows then
    rows[#rows + 1] = string.sub(all[i], 2)
    rows[#rows + 1] = all[i + 1]
  end
end

local rows, tasks = found.f, {}
for i = 1, #rows, 2 do
  local id, run = string.match(rows[i], '^(.*)%z(%d+)$')
  tasks[#tasks + 1] = rows[i]
  tasks[#tasks + 1] = redis.call('HGETALL', P .. 'w:' .. run .. ':' .. id)
end
return {t, rows, found.n, tasks}
