-- Prolongs KEYS[1] by ARGV[2] ms while it is ARGV[1]; returns whether it is.
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])
