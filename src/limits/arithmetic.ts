import type { QuotaState } from "./driver.ts";
import type { BucketRule, CalendarRule, WindowRule } from "./rule.ts";
import { sliceCount } from "./rule.ts";

/**
 * What a rule makes of what a key has had: pure functions over plain numbers, with which the memory driver counts. An
 * engine that counts by a script of its own does the same sums, and a test compares the two.
 *
 * Each rule has `look`, which brings what is remembered up to `nowMs` and says whether `cost` fits, and `state`, which
 * tells how things stand. A clock that was set back neither gives a quota twice nor withholds it for longer than a window.
 */

/** When a bucket will be full again; what a full one remembers is nothing. */
export interface BucketMemory {
  fullAtMs: number;
}

export function lookIntoBucket(rule: BucketRule, memory: BucketMemory, nowMs: number, cost: number): boolean {
  const unitMs = rule.windowMs / rule.quota;
  const emptyMs = unitMs * rule.burst;
  memory.fullAtMs = Math.min(Math.max(memory.fullAtMs, nowMs), nowMs + emptyMs);
  return memory.fullAtMs - nowMs + unitMs * cost <= emptyMs + tinyMs;
}

export function takeFromBucket(rule: BucketRule, memory: BucketMemory, cost: number): void {
  memory.fullAtMs += (rule.windowMs / rule.quota) * cost;
}

export function bucketState(
  rule: BucketRule,
  { fullAtMs }: BucketMemory,
  nowMs: number,
  fits: boolean,
  cost: number,
): QuotaState {
  const unitMs = rule.windowMs / rule.quota;
  const takenMs = fullAtMs - nowMs;
  const emptyMs = unitMs * rule.burst;
  const remaining = Math.max(0, Math.floor((emptyMs - takenMs + tinyMs) / unitMs));
  const untilMs = (units: number): number => Math.max(0, takenMs + unitMs * units - emptyMs);
  return {
    fits,
    remaining,
    resetMs: remaining >= rule.burst ? 0 : untilMs(remaining + 1),
    retryMs: fits ? 0 : cost > rule.burst ? Number.POSITIVE_INFINITY : untilMs(cost),
  };
}

/** Sums of fractions miss by so much. */
const tinyMs = 1e-6;

/** `counts[i]` is what was taken in slice `slice - i`: the newest first, and one more than the window has. */
export interface WindowMemory {
  slice: number;
  counts: number[];
}

export function emptyWindow(): WindowMemory {
  return { slice: 0, counts: new Array(sliceCount + 1).fill(0) };
}

export function lookIntoWindow(rule: WindowRule, memory: WindowMemory, nowMs: number, cost: number): boolean {
  const slice = Math.floor(nowMs / (rule.windowMs / sliceCount));
  const passed = slice - memory.slice;
  const { counts } = memory;
  if (passed > sliceCount) counts.fill(0);
  else if (passed > 0) {
    for (let i = sliceCount; i >= 0; i--) counts[i] = i >= passed ? (counts[i - passed] as number) : 0;
  }
  // Also after a clock was set back: what was counted counts as of now.
  memory.slice = slice;
  return usedInWindow(rule, counts, nowMs) + cost <= rule.quota;
}

export function takeFromWindow(memory: WindowMemory, cost: number): void {
  memory.counts[0] = (memory.counts[0] as number) + cost;
}

export function windowState(
  rule: WindowRule,
  { counts }: WindowMemory,
  nowMs: number,
  fits: boolean,
  cost: number,
): QuotaState {
  const left = rule.quota - usedInWindow(rule, counts, nowMs);
  const remaining = Math.max(0, left);
  return {
    fits,
    remaining,
    resetMs: remaining >= rule.quota ? 0 : untilFree(rule, counts, nowMs, remaining + 1 - left),
    retryMs: fits ? 0 : cost > rule.quota ? Number.POSITIVE_INFINITY : untilFree(rule, counts, nowMs, cost - left),
  };
}

const tinyUnits = 1e-6;

/** The part of the oldest slice that is still within the window. */
function oldestPart(rule: WindowRule, nowMs: number): number {
  const sliceMs = rule.windowMs / sliceCount;
  return 1 - (nowMs / sliceMs - Math.floor(nowMs / sliceMs));
}

/**
 * Whole units of the oldest slice, rounded down: its first unit leaves as soon as it is the oldest, its last one before it
 * is gone. Rounded up, one unit of each slice would come back a slice too late, and a small quota fall short.
 */
function within(count: number, part: number): number {
  return Math.floor(count * part + tinyUnits);
}

function usedInWindow(rule: WindowRule, counts: readonly number[], nowMs: number): number {
  let used = within(counts[sliceCount] as number, oldestPart(rule, nowMs));
  for (let i = 0; i < sliceCount; i++) used += counts[i] as number;
  return used;
}

/** How long until so many units have left the window, the oldest first. */
function untilFree(rule: WindowRule, counts: readonly number[], nowMs: number, units: number): number {
  const sliceMs = rule.windowMs / sliceCount;
  let missing = units;
  let waitMs = 0;
  let part = oldestPart(rule, nowMs);
  for (let i = sliceCount; i >= 0; i--) {
    const count = counts[i] as number;
    const inside = within(count, part);
    if (inside >= missing) {
      const stillIn = (inside - missing + 1 - 2 * tinyUnits) / count;
      return waitMs + Math.max(0, part - stillIn) * sliceMs;
    }
    missing -= inside;
    waitMs += part * sliceMs;
    part = 1;
  }
  return waitMs;
}

export interface CalendarMemory {
  /** When the day or month began that was counted. */
  startMs: number;
  used: number;
}

export function lookIntoCalendar(rule: CalendarRule, memory: CalendarMemory, wallMs: number, cost: number): boolean {
  const startMs = periodStart(rule.period, wallMs, 0);
  if (memory.startMs !== startMs) {
    memory.startMs = startMs;
    memory.used = 0;
  }
  return memory.used + cost <= rule.quota;
}

export function calendarState(
  rule: CalendarRule,
  { used }: CalendarMemory,
  wallMs: number,
  fits: boolean,
  cost: number,
): QuotaState {
  const endMs = periodStart(rule.period, wallMs, 1) - wallMs;
  return {
    fits,
    remaining: Math.max(0, rule.quota - used),
    resetMs: used === 0 ? 0 : endMs,
    retryMs: fits ? 0 : cost > rule.quota ? Number.POSITIVE_INFINITY : endMs,
  };
}

const dayMs = 86_400_000;

/** When the day or month of `wallMs` began, or the one so many later. */
export function periodStart(period: CalendarRule["period"], wallMs: number, later: number): number {
  if (period === "day") return (Math.floor(wallMs / dayMs) + later) * dayMs;
  const at = new Date(wallMs);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + later, 1);
}

/** `held` and the first moment at which one of them ends, of those that are held now. */
export function placesState(quota: number, held: number, fits: boolean, firstEndMs: number): QuotaState {
  return {
    fits,
    remaining: Math.max(0, quota - held),
    resetMs: 0,
    // Somebody will leave sooner; nobody knows when.
    retryMs: fits ? 0 : Math.min(firstEndMs, placeRetryMs),
  };
}

/** When to come again for a place that all others hold. */
export const placeRetryMs = 1000;
