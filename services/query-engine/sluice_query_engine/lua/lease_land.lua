-- Notes in KEYS[2] the fence ARGV[2] and the record ARGV[3] for ARGV[4] ms, and frees KEYS[1] if it is ARGV[1].
-- Returns 0, and does nothing, when another holds KEYS[1] or a newer fence is noted.
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
local noted = redis.call('hget', KEYS[2], 'fence')
if noted and tonumber(noted) > tonumber(ARGV[2]) then return 0 end
redis.call('hset', KEYS[2], 'fence', ARGV[2], 'record', ARGV[3])
redis.call('pexpire', KEYS[2], ARGV[4])
redis.call('del', KEYS[1])
return 1
