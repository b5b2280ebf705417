-- What a decision on one row begins with, in one look: the tree, the workflow as part of the present run, and its tasks; where
-- there is no tree, what stays of one that was purged.
-- ARGV: the prefix, the root, the workflow, the task (empty for none), how many tasks are read as a whole at most.

local P, root, id, no, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local t = redis.call('HMGET', P .. 't:' .. root, 'run', 'version', 'clock', 'tasks')
if not t[1] then return {redis.call('HGET', P .. 'graves', root)} end

local run, text = tonumber(t[1]), false
while run > 0 do
  text = redis.call('HGET', P .. 't:' .. root, 'f' .. id .. '\0' .. run)
  if text then break end
  run = run - 1
end

local found = {t[1], t[2], t[3], t[4], redis.call('LLEN', P .. 'h:' .. root)}
if not text then return found end
local key = P .. 'w:' .. run .. ':' .. id
found[6], found[7], found[8] = run, text, redis.call('HGET', P .. 't:' .. root, 'n' .. id .. '\0' .. run)
if redis.call('EXISTS', key) == 0 then return redis.error_reply('TRYAGAIN ' .. key .. ' is not here: its slot is being moved') end
if redis.call('HLEN', key) <= most then
  found[9], found[10] = 1, redis.call('HGETALL', key)
elseif no ~= '' then
  found[9], found[10] = 0, {no, redis.call('HGET', key, no)}
else
  found[9], found[10] = 0, {}
end
return found
