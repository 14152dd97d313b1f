import { defineScript } from "./connection.ts";

/**
 * The scripts run on the server, each as one atomic step and one round trip. Names come in as arguments and never become
 * part of a script's text.
 *
 * An entry is a hash: `v` holds the value, `w` how long it is kept altogether and `e` how much of that is beyond its
 * freshness, in ms, `n` its version, `t` and each `t<tag>` the generation of the namespace and of a tag at the time of its
 * making. A generation is a random name kept under the tag's key, made by whoever first misses it. Removing it
 * invalidates: the next one has another name, so no entry of before can match again, not even after the server has
 * dropped it for lack of memory. A generation lives a little longer than the entries that show it.
 *
 * A lease is a hash too: `k` the token that a fill must show, `h` who loads now, `g` the generations that its result will
 * show. When they are no longer current, its result cannot be stored, and nobody waits for it.
 *
 * A removal leaves a tombstone for a minute: under `x:` and the key, with the version that the truth has, and under `m:`
 * and the tag. It tells others in the same step. What a full server refuses of that is done without: removing comes first.
 */

/**
 * The fields of an entry whose generations are all current, or false: value, ms left, kept ms, stale ms, tags. What is not
 * ours, under the same name, is not there: others are read in the same run. Any other error is raised as the server does.
 */
const read = `
local function ours(command, key)
  local reply = redis.pcall(command, key)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, '^WRONGTYPE') then return false end
  return redis.call(command, key)
end
local function read(key, tagPrefix)
  local fields = ours('HGETALL', key)
  if not fields then return false end
  local value, whole, stale, tags = false, '0', '0', {}
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name == 'v' then value = fields[i + 1]
    elseif name == 'w' then whole = fields[i + 1]
    elseif name == 'e' then stale = fields[i + 1]
    elseif name ~= 'n' then
      local tag = string.sub(name, 2)
      if ours('GET', tagPrefix .. tag) ~= fields[i + 1] then return false end
      if tag ~= '' then tags[#tags + 1] = tag end
    end
  end
  if not value then return false end
  return {value, redis.call('PTTL', key), tonumber(whole), tonumber(stale), tags}
end
`;

/** The generation of a tag, kept for at least so many milliseconds from now. */
const generation = `
local function generation(key, nonce, keepMs)
  local found = redis.call('GET', key)
  if not found then
    redis.call('SET', key, nonce, 'PX', keepMs)
    return nonce
  end
  if redis.call('PTTL', key) < keepMs then redis.call('PEXPIRE', key, keepMs) end
  return found
end
`;

/** Remembers the newest version that was heard of. */
const bury = `
local function bury(key, version, keepMs)
  local known = redis.call('GET', key)
  if known and tonumber(known) > tonumber(version) then version = known end
  redis.pcall('SET', key, version, 'PX', keepMs)
end
`;

/** KEYS: entries. ARGV: tag prefix. */
export const getManyScript = defineScript(`${read}
local found = {}
for i = 1, #KEYS do found[i] = read(KEYS[i], ARGV[1]) end
return found
`);

/**
 * KEYS: entry, lease, tombstone. ARGV: tag prefix, mark prefix, nonce, lease ms, hold ms, "1" to insist, tags.
 * Gives {1, found}, or {2, found or false, primary} when another one loads, or {0, found or false, primary, token,
 * generations}.
 */
export const getOrLeaseScript = defineScript(`${read}${generation}
local found = read(KEYS[1], ARGV[1])
if found and found[2] > found[4] then return {1, found} end
local leaseMs = tonumber(ARGV[4])
local primary = redis.call('EXISTS', KEYS[3])
local generations = {}
for i = 7, #ARGV do
  generations[i - 6] = generation(ARGV[1] .. ARGV[i], ARGV[3], leaseMs)
  if primary == 0 then primary = redis.call('EXISTS', ARGV[2] .. ARGV[i]) end
end
local shown = table.concat(generations, ' ')
local lease = redis.call('HMGET', KEYS[2], 'k', 'h', 'g')
if lease[2] and ARGV[6] ~= '1' and lease[3] == shown and redis.call('PTTL', KEYS[2]) > leaseMs - tonumber(ARGV[5]) then
  return {2, found, primary}
end
local token = lease[1] or ARGV[3]
redis.call('HSET', KEYS[2], 'k', token, 'h', ARGV[3], 'g', shown)
redis.call('PEXPIRE', KEYS[2], leaseMs)
local reply = {0, found, primary, token}
for i = 1, #generations do reply[4 + i] = generations[i] end
return reply
`);

/** KEYS: lease. ARGV: tag prefix, token, and for each tag its name and the generation that the fence holds. Gives 1 or 0. */
export const isCurrentScript = defineScript(`
if redis.call('HGET', KEYS[1], 'k') ~= ARGV[2] then return 0 end
for i = 3, #ARGV, 2 do
  if redis.call('GET', ARGV[1] .. ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
return 1
`);

/** KEYS: lease. ARGV: token, holder. The token stays: others may have it, who insisted. */
export const releaseScript = defineScript(`
local lease = redis.call('HMGET', KEYS[1], 'k', 'h')
if lease[1] == ARGV[1] and lease[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'h') end
return 1
`);

/**
 * KEYS: entry, lease, tombstone. ARGV: tag prefix, nonce, ms to keep, of them stale, value, token or "", version or "",
 * tombstone ms, channel, message, and for each tag its name and the generation that the fence holds, or "". Gives 1, or 0
 * when the fence is void or the version old.
 */
export const setScript = defineScript(`${read}${generation}${bury}
local token, version = ARGV[6], ARGV[7]
if token ~= '' then
  if redis.call('HGET', KEYS[2], 'k') ~= token then return 0 end
  for i = 11, #ARGV, 2 do
    if redis.call('GET', ARGV[1] .. ARGV[i]) ~= ARGV[i + 1] then return 0 end
  end
end
if version ~= '' then
  local buried = redis.call('GET', KEYS[3])
  if buried and tonumber(buried) > tonumber(version) then return 0 end
  local present = redis.call('HGET', KEYS[1], 'n')
  if present and tonumber(present) > tonumber(version) and read(KEYS[1], ARGV[1]) then return 0 end
end
local keepMs = tonumber(ARGV[3])
local fields = {'v', ARGV[5], 'w', ARGV[3]}
local function add(name, text)
  fields[#fields + 1] = name
  fields[#fields + 1] = text
end
if ARGV[4] ~= '0' then add('e', ARGV[4]) end
if version ~= '' then add('n', version) end
for i = 11, #ARGV, 2 do add('t' .. ARGV[i], generation(ARGV[1] .. ARGV[i], ARGV[2], keepMs + 1000)) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIRE', KEYS[1], keepMs)
if token == '' then
  if version ~= '' then bury(KEYS[3], version, ARGV[8]) end
  redis.pcall('PUBLISH', ARGV[9], ARGV[10])
end
return 1
`);

/** KEYS: entry, lease and tombstone of each key. ARGV: version, tombstone ms, channel, message. */
export const deleteScript = defineScript(`${bury}
for i = 1, #KEYS, 3 do
  local present = redis.call('HGET', KEYS[i], 'n')
  redis.call('UNLINK', KEYS[i], KEYS[i + 1])
  local version = ARGV[1]
  if present and tonumber(present) > tonumber(version) then version = present end
  bury(KEYS[i + 2], version, ARGV[2])
end
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
`);

/** KEYS: generation and mark of each tag. ARGV: tombstone ms, channel, message. */
export const invalidateScript = defineScript(`
for i = 1, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i])
  redis.pcall('SET', KEYS[i + 1], '', 'PX', ARGV[1])
end
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return 1
`);
