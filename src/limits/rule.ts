/**
 * A rule says how much of something one key may have. Four kinds, each with its own arithmetic:
 *
 * - `bucket`: a bucket that holds `burst` and is filled by `quota` in each `windowMs`, evenly (GCRA). At most
 *   `burst + quota` in any window, `quota` on average.
 * - `window`: `quota` in `windowMs`, sliding: ten slices, of which the oldest counts by the part that is still within. At
 *   most `quota` in any nine tenths of a window, and `quota` per window on average.
 * - `calendar`: `quota` in each day or month of UTC, by the store's clock.
 * - `places`: `quota` at the same time. Each is held until it is given back, or `holdMs` after it was last renewed.
 */
export type Rule = BucketRule | WindowRule | CalendarRule | PlacesRule;

export interface BucketRule {
  readonly kind: "bucket";
  readonly quota: number;
  readonly windowMs: number;
  readonly burst: number;
}

export interface WindowRule {
  readonly kind: "window";
  readonly quota: number;
  readonly windowMs: number;
}

export interface CalendarRule {
  readonly kind: "calendar";
  readonly quota: number;
  readonly period: "day" | "month";
}

export interface PlacesRule {
  readonly kind: "places";
  readonly quota: number;
  readonly holdMs: number;
}

export const quotaMax = 1_000_000_000;
export const windowMsMin = 100;
export const windowMsMax = 366 * 86_400_000;
export const holdMsMax = 86_400_000;
export const placesMax = 100_000;
/** Into how many slices a sliding window is cut. */
export const sliceCount = 10;

/** The most that one demand can ever be given; one that costs more is refused for ever. */
export function capacityOf(rule: Rule): number {
  return rule.kind === "bucket" ? rule.burst : rule.quota;
}

/** What is wrong with a rule, with the remedy; undefined when nothing is. */
export function faultOf(rule: Rule): string | undefined {
  if (!isCount(rule.quota)) return `a quota is a whole number from 1 to ${quotaMax}`;
  if (rule.kind === "bucket" && !isCount(rule.burst)) return `a burst is a whole number from 1 to ${quotaMax}`;
  if (rule.kind === "bucket" || rule.kind === "window") {
    if (!(rule.windowMs >= windowMsMin && rule.windowMs <= windowMsMax)) {
      return 'a window is "100ms" to "366d", or "day" or "month" of the calendar';
    }
  }
  if (rule.kind === "places" && rule.quota > placesMax) return `of places there are at most ${placesMax}`;
  if (rule.kind === "places" && !(rule.holdMs >= 1 && rule.holdMs <= holdMsMax)) return 'a hold is "1ms" to "1d"';
  return undefined;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= quotaMax;
}

/** The same rule for one of several processes that cannot ask each other: its part of the quota, at least 1. */
export function shareOf(rule: Rule, processes: number): Rule {
  const part = (count: number): number => Math.max(1, Math.floor(count / processes));
  return rule.kind === "bucket"
    ? { ...rule, quota: part(rule.quota), burst: part(rule.burst) }
    : { ...rule, quota: part(rule.quota) };
}
