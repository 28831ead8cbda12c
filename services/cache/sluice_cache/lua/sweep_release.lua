-- Removes KEYS[1] while it is ARGV[1].
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('unlink', KEYS[1]) end
return 0
