-- Makes a frame known in one round trip: a newer version stays; sets live as long as their longest-lived member.
-- KEYS: the frame's entry, ARGV[4] sets of its label pairs, its values.
-- ARGV: the entry, when it ends in ms since 1970, the frame's version, how many sets, its id. Returns 0 where a newer
-- version stays, else 1.
local function version_of(text)
  local fine, present = pcall(cjson.decode, text)
  return fine and type(present) == 'table' and tonumber(present.version) or nil
end
local present = redis.call('get', KEYS[1])
local there = present and version_of(present)
if there and there > tonumber(ARGV[3]) then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'pxat', ARGV[2])
local sets = tonumber(ARGV[4])
local now = redis.call('time')
local left = tonumber(ARGV[2]) - (tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000))
for number = 2, #KEYS do
  if number <= 1 + sets then redis.call('sadd', KEYS[number], ARGV[5]) end
  local lives = redis.call('pttl', KEYS[number])
  if lives >= -1 and (lives < left or number > 1 + sets) then redis.call('pexpireat', KEYS[number], ARGV[2]) end
end
return 1
