"""The steps that Redis does atomically, in Lua (https://redis.io/docs/latest/develop/programmability/eval-intro/).

A log is one Redis Stream. Its first entry, `1-0`, is the Meta: fields m (Meta), w (the owner's name), c (the claim).
A batch is one entry with the field e (its events as JSON lines); the one with the terminal event has the field end,
too. Its id is `epoch-n`, n being the number of its last event: so an entry that is sent twice is there once. Who
seizes a log adds an entry with the field w and the next epoch: from then on Redis refuses what the former owner
appends, however late it comes.

The functions that give keys are in names.py; times are in ms of Redis' own clock.
"""

from __future__ import annotations

from hashlib import sha1


class Script:
    """`command(keys, arguments)` is what calls it; it has to be loaded into a server before."""

    def __init__(self, text: str) -> None:
        self.text = _SHARED + text
        self._sha = sha1(self.text.encode()).hexdigest()

    def command(self, keys: list[str], *arguments: object) -> tuple[object, ...]:
        return ("EVALSHA", self._sha, len(keys), *keys, *arguments)


_SHARED = """
local function at(log, id) return redis.call('XRANGE', log, id, id)[1] end
local function top(log) return redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1] end
local function now() local t = redis.call('TIME'); return t[1] * 1000 + math.floor(t[2] / 1000) end
local function owner(log, last)
  if last[2][1] == 'w' then return last[2][2], last[2][4] end
  return at(log, '1-0')[2][4], nil
end
local function ended(last) return last[2][3] == 'end' end
local function keep(log, signs, claims, id, ms)
  redis.call('PEXPIRE', log, ms)
  redis.call('ZADD', signs, now(), id)
  local first = at(log, '1-0')
  if first[2][5] == 'c' and redis.call('GET', claims .. first[2][6]) == id then
    redis.call('PEXPIRE', claims .. first[2][6], ms)
  end
end
local function make(log, signs, claims, id, meta, worker, ms, claim)
  if claim then
    redis.call('SET', claims .. claim, id, 'PX', ms, 'NX')
    redis.call('XADD', log, '1-0', 'm', meta, 'w', worker, 'c', claim)
  else
    redis.call('XADD', log, '1-0', 'm', meta, 'w', worker)
  end
  redis.call('PEXPIRE', log, ms)
  redis.call('ZADD', signs, now(), id)
end
local function bury(grave) redis.call('SET', grave, '', 'PX', 60000) end
local function unclaim(log, claims, id)
  local first = at(log, '1-0')
  if first and first[2][5] == 'c' and redis.call('GET', claims .. first[2][6]) == id then
    redis.call('DEL', claims .. first[2][6])
  end
end
"""

# KEYS: log, signs, grave. ARGV: id, Meta, worker, ms to live, prefixes of logs and of claims, the claim if there is.
# Gives the older Meta if the claim is taken, "undone" if UNDO came before it.
CREATE = Script("""
if redis.call('EXISTS', KEYS[3]) == 1 then return {'undone'} end
if ARGV[7] then
  local older = redis.call('GET', ARGV[6] .. ARGV[7])
  local first = older and at(ARGV[5] .. older, '1-0')
  if first then return {'older', first[2][2]} end
  redis.call('DEL', ARGV[6] .. ARGV[7])
end
make(KEYS[1], KEYS[2], ARGV[6], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[7])
return {'made'}
""")

# KEYS: log, signs. ARGV: id, channel, epoch, number before the entry, its last number, events, prefix of claims,
# ms that an ended log lives, if this ends it. Gives ok, seized, or lost: what was there before is not there any more.
APPEND = Script("""
local last = top(KEYS[1])
if not last then return 'lost' end
local epoch, n = last[1]:match('(%d+)-(%d+)')
if epoch ~= ARGV[3] then return 'seized' end
if tonumber(n) >= tonumber(ARGV[5]) then return 'ok' end
if n ~= ARGV[4] then return 'lost' end
local id = epoch .. '-' .. ARGV[5]
if ARGV[8] then
  redis.call('XADD', KEYS[1], id, 'e', ARGV[6], 'end', '1')
  keep(KEYS[1], KEYS[2], ARGV[7], ARGV[1], ARGV[8])
else
  redis.call('XADD', KEYS[1], id, 'e', ARGV[6])
end
redis.call('PUBLISH', ARGV[2], ARGV[6])
return 'ok'
""")

# Writes a log anew that was found lost. KEYS: log, signs, grave. ARGV: id, Meta, worker, ms to live, prefix of
# claims, channel, epoch, the last event's number, all events, the claim if there is. Gives ok, seized, or lost.
RESTORE = Script("""
if redis.call('EXISTS', KEYS[3]) == 1 then return 'lost' end
local last = top(KEYS[1])
if last then
  local epoch, n = last[1]:match('(%d+)-(%d+)')
  if epoch ~= ARGV[7] then return 'seized' end
  if tonumber(n) >= tonumber(ARGV[8]) then return 'ok' end
  redis.call('DEL', KEYS[1])
end
make(KEYS[1], KEYS[2], ARGV[5], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[10])
if ARGV[8] ~= '0' then redis.call('XADD', KEYS[1], ARGV[7] .. '-' .. ARGV[8], 'e', ARGV[9]) end
redis.call('PUBLISH', ARGV[6], '')
return 'ok'
""")

# KEYS: log. ARGV: number of the first event wanted, bytes wanted. Gives entries' events, nil if there is no such log.
READ = Script("""
local out, size, from = {}, 0, '1-' .. ARGV[1]
repeat
  local part = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 64)
  for _, entry in ipairs(part) do
    if entry[2][1] == 'e' then
      out[#out + 1] = entry[2][2]
      size = size + #entry[2][2]
      if size >= tonumber(ARGV[2]) then return out end
    end
  end
  if #part > 0 then
    local epoch, n = part[#part][1]:match('(%d+)-(%d+)')
    from = string.format('%s-%.0f', epoch, n + 1)
  end
until #part < 64
if #out == 0 and redis.call('EXISTS', KEYS[1]) == 0 then return false end
return out
""")

# KEYS: log. ARGV: this worker, ms after which a seizure that ended nothing is void, the dead workers.
# Gives {epoch, number of the last event} to exactly one; else the owner's name, nil where there is nothing to seize.
SEIZE = Script("""
local last = top(KEYS[1])
if not last or ended(last) then return false end
local name, since = owner(KEYS[1], last)
local dead = since and now() - since > tonumber(ARGV[2])
for i = 3, #ARGV do dead = dead or ARGV[i] == name end
if not dead then return name end
local epoch, n = last[1]:match('(%d+)-(%d+)')
epoch = string.format('%.0f', epoch + 1)
redis.call('XADD', KEYS[1], epoch .. '-' .. n, 'w', ARGV[1], 't', string.format('%.0f', now()))
return {epoch, n}
""")

# KEYS: log. Gives {name of the worker that has or had it, 1 if it has ended}; {"", 1} if there is no such log.
OWNER = Script("""
local last = top(KEYS[1])
if not last then return {'', 1} end
return {owner(KEYS[1], last), ended(last) and 1 or 0}
""")

# A sign of life. KEYS: log, signs. ARGV: id, ms to live, prefix of claims. Gives ok or lost.
REFRESH = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 'lost' end
keep(KEYS[1], KEYS[2], ARGV[3], ARGV[1], ARGV[2])
return 'ok'
""")

# KEYS: log. ARGV: id, prefix of claims.
RELEASE = Script("""
unclaim(KEYS[1], ARGV[2], ARGV[1])
return 'ok'
""")

# KEYS: log, signs, grave, for its owner must not write it anew. ARGV: id, channel, prefix of claims.
# Gives 1 to exactly one.
ERASE = Script("""
local last = top(KEYS[1])
if last and not ended(last) then bury(KEYS[3]) end
unclaim(KEYS[1], ARGV[3], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], '')
return redis.call('ZREM', KEYS[2], ARGV[1])
""")

# For a CREATE that got no answer: a stream that it made is ended, since who sent the same again may have found it,
# and one that it is still to make, on a connection that broke, is made no more.
# KEYS: log, signs, grave. ARGV: id, channel, prefix of claims, the end, ms that an ended log is kept.
UNDO = Script("""
bury(KEYS[3])
local last = top(KEYS[1])
if last and last[1] == '1-0' then
  unclaim(KEYS[1], ARGV[3], ARGV[1])
  redis.call('XADD', KEYS[1], '1-1', 'e', ARGV[4], 'end', '1')
  keep(KEYS[1], KEYS[2], ARGV[3], ARGV[1], ARGV[5])
  redis.call('PUBLISH', ARGV[2], ARGV[4])
end
return 'ok'
""")

ALL = (CREATE, APPEND, RESTORE, READ, SEIZE, OWNER, REFRESH, RELEASE, ERASE, UNDO)
