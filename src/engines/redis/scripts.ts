import { defineScript } from "./connection.ts";

/**
 * The scripts run on the server, each as one atomic step and one round trip. Names come in as arguments and never become
 * part of a script's text.
 *
 * An entry is a hash: `v` holds the value, `t` and each `t<tag>` the generation of the namespace and of a tag at the time
 * of its making. A generation is a random name kept under the tag's key, made by whoever first misses it. Removing it
 * invalidates: the next one has another name, so no entry of before can match again, not even after the server has
 * dropped it for lack of memory. A generation lives a little longer than the entries that show it.
 */

/** The value of an entry whose generations are all current, or false. */
const read = `
local function read(key, tagPrefix)
  local fields = redis.call('HGETALL', key)
  local value = false
  for i = 1, #fields, 2 do
    if fields[i] == 'v' then
      value = fields[i + 1]
    elseif redis.call('GET', tagPrefix .. string.sub(fields[i], 2)) ~= fields[i + 1] then
      return false
    end
  end
  return value
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

/** KEYS: entries. ARGV: tag prefix. */
export const getManyScript = defineScript(`${read}
local values = {}
for i = 1, #KEYS do values[i] = read(KEYS[i], ARGV[1]) end
return values
`);

/** KEYS: entry, lease. ARGV: tag prefix, nonce, lease ms, tags. Gives {1, value} or {0, token, generations}. */
export const getOrLeaseScript = defineScript(`${read}${generation}
local value = read(KEYS[1], ARGV[1])
if value then return {1, value} end
local leaseMs = tonumber(ARGV[3])
local token = redis.call('GET', KEYS[2])
if not token then
  token = ARGV[2]
  redis.call('SET', KEYS[2], token, 'PX', leaseMs)
end
local reply = {0, token}
for i = 4, #ARGV do reply[#reply + 1] = generation(ARGV[1] .. ARGV[i], ARGV[2], leaseMs) end
return reply
`);

/**
 * KEYS: entry, lease. ARGV: tag prefix, nonce, ttl ms, value, token or "", and for each tag its name and the generation
 * that the fence holds, or "". Gives 1, or 0 when the fence is void.
 */
export const setScript = defineScript(`${generation}
if ARGV[5] ~= '' then
  if redis.call('GET', KEYS[2]) ~= ARGV[5] then return 0 end
  for i = 6, #ARGV, 2 do
    if redis.call('GET', ARGV[1] .. ARGV[i]) ~= ARGV[i + 1] then return 0 end
  end
end
local ttlMs = tonumber(ARGV[3])
local fields = {'v', ARGV[4]}
for i = 6, #ARGV, 2 do
  fields[#fields + 1] = 't' .. ARGV[i]
  fields[#fields + 1] = generation(ARGV[1] .. ARGV[i], ARGV[2], ttlMs + 1000)
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIRE', KEYS[1], ttlMs)
return 1
`);
