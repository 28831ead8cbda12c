-- The ledger of leased permits, shared over Redis: the rules of permit_ledger.py, word for word.
--
-- KEYS[1]  hash: `book` (JSON), `lease:<id>` (JSON each), `process:<name>` (JSON each). One key, so that a server that
--          forgets, forgets all of it; without a life, so that no eviction of keys with a life takes it.
-- ARGV[1]  the request as JSON.
-- ARGV[2]  the server's time in milliseconds, for tests that bring a clock; empty for the server's own.
-- ARGV[3]  the run of the server, for the same tests; empty for its own.
-- Returns the reply as JSON. Everything is read, decided and written within one call, so nobody sees half of it.

local request = cjson.decode(ARGV[1])
local terms = request.terms
local life_ms = terms.hold_ms + terms.margin_ms
local tick_ms = math.floor(terms.margin_ms / 6)
local presence_ms = math.floor(tick_ms * 3 / 5)

local server_ms = tonumber(ARGV[2])
if server_ms == nil then
  local time = redis.call('TIME')
  server_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local run = ARGV[3]
if run == '' then
  run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

local book, leases, processes, lease_count = nil, {}, {}, 0
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  local kind, name = string.match(stored[i], '^(%l+):(.*)$')
  if kind == 'lease' then
    leases[name] = cjson.decode(stored[i + 1])
    lease_count = lease_count + 1
  elseif kind == 'process' then
    processes[name] = cjson.decode(stored[i + 1])
  else
    book = cjson.decode(stored[i + 1])
  end
end

local function present(process)
  return process.seen_ms > book.clock_ms - presence_ms
end

local function keep_lease(id, lease)
  leases[id] = lease
  lease_count = lease_count + 1
  redis.call('HSET', KEYS[1], 'lease:' .. id, cjson.encode(lease))
end

local function end_lease(id)
  leases[id] = nil
  lease_count = lease_count - 1
  redis.call('HDEL', KEYS[1], 'lease:' .. id)
end

local function granted_to(hold)
  book.fence = book.fence + 1
  return {
    process = request.process, incarnation = request.incarnation, who = hold.who, since_ms = book.clock_ms,
    deadline_ms = book.clock_ms + math.min(hold.left_ms, terms.hold_ms), until_ms = book.clock_ms + life_ms,
    fence = book.fence,
  }
end

local function answer(state, fields)
  redis.call('HSET', KEYS[1], 'book', cjson.encode(book))
  fields = fields or {}
  fields.state, fields.epoch = state, book.epoch
  return cjson.encode(fields)
end

-- Move the clock and end what is over.
local trusted = false
if book ~= nil and book.run == run then
  local step_ms = server_ms - book.seen_server_ms
  if step_ms > 0 and step_ms <= tick_ms then
    book.clock_ms = book.clock_ms + step_ms
  end
  book.seen_server_ms = server_ms
  for id, lease in pairs(leases) do
    if lease.until_ms <= book.clock_ms then
      end_lease(id)
    end
  end
  trusted = book.plan == terms.plan
  for _, process in pairs(processes) do
    trusted = trusted or (process.incarnation ~= request.incarnation and present(process))
  end
end
if not trusted then
  redis.call('DEL', KEYS[1])
  leases, processes, lease_count = {}, {}, 0
  book = {
    run = run, epoch = string.format('%s-%.0f', string.sub(run, 1, 8), server_ms), plan = terms.plan,
    seen_server_ms = server_ms, grace_until_ms = life_ms, clock_ms = 0, fence = 0,
  }
end

if book.plan ~= terms.plan then
  return answer('terms')
end
local mine = processes[request.process]
local left_count, left_until_ms = 0, 0
-- What an earlier release wrote has none of it.
if mine ~= nil and (mine.left_behind_until_ms or 0) > book.clock_ms then
  left_count, left_until_ms = mine.left_behind_count, mine.left_behind_until_ms
end
if mine ~= nil and mine.incarnation ~= request.incarnation then
  if present(mine) then
    return answer('conflict')
  end
  if #mine.share > 0 then
    -- When it died is not known, so the longest life counts from here.
    left_count, left_until_ms = left_count + #mine.share, book.clock_ms + life_ms
  end
  mine = nil
end
if mine ~= nil and request.seq <= mine.seq then
  return answer('late')
end

for _, id in ipairs(request.drops) do
  if leases[id] ~= nil and leases[id].incarnation == request.incarnation then
    end_lease(id)
  end
end
if request.leaving then
  if #request.share == 0 and left_count == 0 then
    redis.call('HDEL', KEYS[1], 'process:' .. request.process)
  else
    -- Not here any more, and remembered for whoever has the name next.
    redis.call('HSET', KEYS[1], 'process:' .. request.process, cjson.encode({
      incarnation = request.incarnation, seq = request.seq, seen_ms = book.clock_ms - presence_ms, waiting_count = 0,
      share = request.share, left_behind_count = left_count, left_behind_until_ms = left_until_ms,
    }))
  end
  return answer('granting')
end

local wish = request.wish
if wish == cjson.null then
  wish = nil
end
local wants_since_ms = mine and mine.wants_since_ms or nil
if request.waiting_count == 0 and wish == nil then
  wants_since_ms = nil
elseif wants_since_ms == nil then
  wants_since_ms = book.clock_ms
end
mine = {
  incarnation = request.incarnation, seq = request.seq, seen_ms = book.clock_ms, wants_since_ms = wants_since_ms,
  waiting_count = request.waiting_count, share = request.share,
  left_behind_count = left_count, left_behind_until_ms = left_until_ms,
}
processes[request.process] = mine

-- Write in again, while in grace, what the ledger has forgotten, and name what it does not count.
local in_grace = book.clock_ms < book.grace_until_ms
local lost = {}
for _, hold in ipairs(request.holds) do
  if leases[hold.lease_id] == nil then
    if in_grace and lease_count < terms.lease_count then
      keep_lease(hold.lease_id, granted_to(hold))
    else
      table.insert(lost, hold.lease_id)
    end
  end
end

local granted = false
if wish ~= nil and not in_grace and lease_count < terms.lease_count then
  local first, first_since_ms = nil, nil
  for name, process in pairs(processes) do
    local since_ms = process.wants_since_ms
    if since_ms ~= nil and present(process) then
      if first == nil or since_ms < first_since_ms or (since_ms == first_since_ms and name < first) then
        first, first_since_ms = name, since_ms
      end
    end
  end
  if first == request.process then
    keep_lease(wish.lease_id, granted_to(wish))
    granted = true
    mine.wants_since_ms = nil
  end
end
redis.call('HSET', KEYS[1], 'process:' .. request.process, cjson.encode(mine))

return answer(in_grace and 'grace' or 'granting', {
  granted = granted,
  fence = granted and book.fence or 0,
  free_count = in_grace and 0 or math.max(0, terms.lease_count - lease_count),
  grace_left_ms = math.max(0, book.grace_until_ms - book.clock_ms),
  left_behind_count = left_count,
  left_behind_ms = left_count > 0 and left_until_ms - book.clock_ms or 0,
  -- An empty table would be an object in JSON.
  lost = table.concat(lost, ','),
})
