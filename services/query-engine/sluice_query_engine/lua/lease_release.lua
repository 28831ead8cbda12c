-- Deletes KEYS[1] while it is ARGV[1]; returns whether it was.
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
