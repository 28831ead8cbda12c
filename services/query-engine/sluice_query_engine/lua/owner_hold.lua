-- Gives KEYS[1] to ARGV[1] for ARGV[2] ms unless somebody else has it; returns whether it is ARGV[1]'s.
local there = redis.call('get', KEYS[1])
if there and there ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
