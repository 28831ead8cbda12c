-- Gives KEYS[1] to the token ARGV[1] for ARGV[2] ms unless another token holds it. KEYS[2] is the last fence given out.
-- Returns the fence as text, or nil while another holds it. Fences follow the server's clock in microseconds, so that
-- they go on rising when the server comes back empty.
local there = redis.call('get', KEYS[1])
if there then
  local fence, token = string.match(there, '^(%d+):(.*)$')
  if token ~= ARGV[1] then return nil end
  redis.call('pexpire', KEYS[1], ARGV[2])
  return fence
end
local time = redis.call('time')
local fence = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(redis.call('get', KEYS[2]) or '0') + 1)
local text = string.format('%.0f', fence)
redis.call('set', KEYS[2], text)
redis.call('set', KEYS[1], text .. ':' .. ARGV[1], 'px', ARGV[2])
return text
