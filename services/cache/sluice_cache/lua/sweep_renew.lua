-- Prolongs KEYS[1] to ARGV[2] seconds while it is ARGV[1]; returns whether it is.
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) end
return 0
