-- Adds ARGV[2..] to the sorted set KEYS[1], each until ARGV[1] ms from now by the server's clock.
local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local until_ms = string.format('%.0f', now + tonumber(ARGV[1]))
redis.call('zremrangebyscore', KEYS[1], '-inf', string.format('%.0f', now))
for index = 2, #ARGV do redis.call('zadd', KEYS[1], until_ms, ARGV[index]) end
return redis.call('pexpire', KEYS[1], ARGV[1])
