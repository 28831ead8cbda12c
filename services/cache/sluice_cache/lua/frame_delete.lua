-- Forgets a frame unless a newer version is known.
-- KEYS: the frame's entry, the sets of its label pairs. ARGV: its version, its id. Returns 0 where a newer one stays.
local present = redis.call('get', KEYS[1])
if present then
  local fine, there = pcall(cjson.decode, present)
  local version = fine and type(there) == 'table' and tonumber(there.version)
  if version and version > tonumber(ARGV[1]) then return 0 end
  redis.call('unlink', KEYS[1])
end
for number = 2, #KEYS do redis.call('srem', KEYS[number], ARGV[2]) end
return 1
