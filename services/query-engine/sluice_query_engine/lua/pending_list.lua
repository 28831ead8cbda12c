-- Returns the members of the sorted set KEYS[1] whose time has not come, by the server's clock.
local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('zrangebyscore', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
