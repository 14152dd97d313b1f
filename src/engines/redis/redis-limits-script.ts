import { sliceCount } from "../../limits/index.ts";
import { defineScript } from "./connection.ts";

/**
 * The scripts of the limiter: each decides in one atomic step and one round trip, by the server's own clock, with the sums
 * of `limits/arithmetic.ts`. Every key comes as a key, all of one slot; numbers and names come as arguments and never
 * become part of a script's text.
 *
 * What is kept: for a bucket the time at which it is full again, for a window the number of its newest slice and what was
 * taken in that and the ten before, for the calendar when the period began and what was taken in it, for places a sorted
 * set of holders by the time at which theirs ends. Every key ends by itself when it says no more than its absence.
 *
 * For each key six arguments: kind, quota, milliseconds (of the window, or of holding), burst or period, cost, holder.
 */

/** Milliseconds since 1970, with microseconds behind the point. */
const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
`;

const bucket = `
local kinds = {}
local tiny = 0.000001

kinds.b = {
  look = function(key, rule)
    rule.unit = rule.ms / rule.quota
    rule.empty = rule.unit * rule.burst
    local full = tonumber(redis.call('GET', key) or 0)
    rule.full = math.min(math.max(full, now), now + rule.empty)
    rule.most = rule.burst
    return rule.full - now + rule.unit * rule.cost <= rule.empty + tiny
  end,
  take = function(key, rule)
    rule.full = rule.full + rule.unit * rule.cost
    redis.call('SET', key, string.format('%.6f', rule.full), 'PX', math.max(1, math.ceil(rule.full - now)))
  end,
  left = function(rule)
    return (rule.empty - (rule.full - now) + tiny) / rule.unit
  end,
  untilFree = function(rule, units)
    return math.max(0, rule.full - now + rule.unit * units - rule.empty)
  end
}
`;

const window = `
local slices = ${sliceCount}

kinds.w = {
  look = function(key, rule)
    rule.slice = rule.ms / slices
    rule.newest = math.floor(now / rule.slice)
    rule.part = 1 - (now / rule.slice - rule.newest)
    local numbers = {}
    for number in string.gmatch(redis.call('GET', key) or '', '%S+') do numbers[#numbers + 1] = tonumber(number) end
    local passed = rule.newest - (numbers[1] or 0)
    if passed < 0 then passed = 0 end
    rule.counts = {}
    rule.used = 0
    for i = 0, slices do
      local count = i >= passed and numbers[i - passed + 2] or 0
      rule.counts[i] = count
      rule.used = rule.used + (i == slices and math.floor(count * rule.part + tiny) or count)
    end
    rule.most = rule.quota
    return rule.used + rule.cost <= rule.quota
  end,
  take = function(key, rule)
    rule.counts[0] = rule.counts[0] + rule.cost
    rule.used = rule.used + rule.cost
    local text = string.format('%.0f', rule.newest)
    for i = 0, slices do text = text .. ' ' .. string.format('%.0f', rule.counts[i]) end
    redis.call('SET', key, text, 'PX', math.ceil(rule.ms + rule.slice) + 1)
  end,
  left = function(rule)
    return rule.quota - rule.used
  end,
  untilFree = function(rule, units)
    local missing = units - (rule.quota - rule.used)
    local wait, part = 0, rule.part
    for i = slices, 0, -1 do
      local count = rule.counts[i]
      local inside = math.floor(count * part + tiny)
      if inside >= missing then
        return wait + math.max(0, part - (inside - missing + 1 - 2 * tiny) / count) * rule.slice
      end
      missing = missing - inside
      wait = wait + part * rule.slice
      part = 1
    end
    return wait
  end
}
`;

/** The first day of a month, and its length, by the days since 1970 (proleptic Gregorian, years from March). */
const calendar = `
local day = 86400000

local function monthOf(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local march = math.floor((5 * doy + 2) / 153)
  local year = yoe + era * 400
  if march >= 10 then year = year + 1 end
  local lengths = {31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28}
  local length = lengths[march + 1]
  if march == 11 and (year % 4 == 0 and year % 100 ~= 0 or year % 400 == 0) then length = 29 end
  return days - (doy - math.floor((153 * march + 2) / 5)), length
end

kinds.c = {
  look = function(key, rule)
    local first, length = math.floor(now / day), 1
    if rule.period == 'month' then first, length = monthOf(first) end
    rule.start = first * day
    rule.finish = rule.start + length * day
    local start, used = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
    rule.used = tonumber(start) == rule.start and tonumber(used) or 0
    rule.most = rule.quota
    return rule.used + rule.cost <= rule.quota
  end,
  take = function(key, rule)
    rule.used = rule.used + rule.cost
    local text = string.format('%.0f %.0f', rule.start, rule.used)
    redis.call('SET', key, text, 'PX', math.max(1, math.ceil(rule.finish - now)))
  end,
  left = function(rule)
    return rule.quota - rule.used
  end,
  untilFree = function(rule)
    return rule.finish - now
  end
}
`;

const places = `
kinds.p = {
  look = function(key, rule)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    rule.held = redis.call('ZCARD', key)
    rule.key = key
    rule.most = 0
    return rule.held + rule.cost <= rule.quota
  end,
  take = function(key, rule)
    redis.call('ZADD', key, string.format('%.3f', now + rule.ms), rule.holder)
    redis.call('PEXPIRE', key, math.ceil(rule.ms))
    rule.held = rule.held + 1
  end,
  left = function(rule)
    return rule.quota - rule.held
  end,
  untilFree = function(rule)
    local first = redis.call('ZRANGE', rule.key, 0, 0, 'WITHSCORES')
    return math.min(1000, tonumber(first[2] or now) - now)
  end
}
`;

/** Answers 1 or 0, and four numbers for each key: fits, remaining, ms until there is more, ms until it fits (-1: never). */
const decide = `
local rules, fits, allowed = {}, {}, 1
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 6
  local rule = {
    kind = kinds[ARGV[at + 1]], quota = tonumber(ARGV[at + 2]), ms = tonumber(ARGV[at + 3]),
    burst = tonumber(ARGV[at + 4]), period = ARGV[at + 4], cost = tonumber(ARGV[at + 5]), holder = ARGV[at + 6]
  }
  rules[i] = rule
  fits[i] = rule.kind.look(key, rule)
  if not fits[i] then allowed = 0 end
end
if allowed == 1 then
  for i, key in ipairs(KEYS) do
    if rules[i].cost > 0 then rules[i].kind.take(key, rules[i]) end
  end
end
local reply = {allowed}
for i, rule in ipairs(rules) do
  local remaining = math.max(0, math.floor(rule.kind.left(rule)))
  local reset, retry = 0, 0
  if remaining < rule.most then reset = rule.kind.untilFree(rule, remaining + 1) end
  if not fits[i] then
    retry = rule.most > 0 and rule.cost > rule.most and -1 or rule.kind.untilFree(rule, rule.cost)
  end
  local at = (i - 1) * 4 + 1
  reply[at + 1] = fits[i] and 1 or 0
  reply[at + 2] = remaining
  reply[at + 3] = math.ceil(reset)
  reply[at + 4] = math.ceil(retry)
end
return reply
`;

const decision = bucket + window + calendar + places + decide;

/** Takes all demands, or nothing of any. */
export const takeScript = defineScript(clock + decision);

/** The same by a time that is told, in milliseconds, as the last argument: to compare its sums with ours. */
export const takeAtScript = defineScript(`local now = tonumber(ARGV[#ARGV])\n${decision}`);

/** For each key a holder. */
export const releasePlacesScript = defineScript(`
for i, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[i]) end
return 0
`);

/** For each key a holder and for how long. */
export const renewPlacesScript = defineScript(`${clock}
for i, key in ipairs(KEYS) do
  local holder, ms = ARGV[i * 2 - 1], tonumber(ARGV[i * 2])
  local finish = redis.call('ZSCORE', key, holder)
  if finish and tonumber(finish) > now then
    redis.call('ZADD', key, string.format('%.3f', now + ms), holder)
    redis.call('PEXPIRE', key, math.ceil(ms))
  end
end
return 0
`);
