import type { Clock } from "../base/index.ts";

/**
 * Which keys are used most: the space-saving sketch (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent
 * and Top-k Elements in Data Streams", 2005). `size` counters, whatever the number of keys: a new key takes the place of
 * the least counted, and its count as the error. Every key with more than 1/size of all uses is among them.
 *
 * Counts halve each minute, so that what was hot yesterday is not hot now. Of one process, and lost with it.
 */
export interface HotKeys {
  note(key: string): void;
  top(limit: number): readonly HotKey[];
}

export interface HotKey {
  readonly key: string;
  /** Uses, at most; recent ones weigh more. */
  readonly count: number;
  /** By how much the count may be too high. */
  readonly errorMax: number;
  /** Of all uses that were counted, 0 to 1. */
  readonly share: number;
}

interface Counter {
  key: string;
  count: number;
  errorMax: number;
}

const halveMs = 60_000;

export function createHotKeys(clock: Clock, size = 64): HotKeys {
  const counters: Counter[] = [];
  const byKey = new Map<string, Counter>();
  let total = 0;
  let halvedAt = clock.now();

  const halve = (): void => {
    const times = Math.min(Math.floor((clock.now() - halvedAt) / halveMs), 60);
    if (times <= 0) return;
    halvedAt = clock.now();
    const factor = 0.5 ** times;
    total *= factor;
    for (const counter of counters) {
      counter.count *= factor;
      counter.errorMax *= factor;
    }
  };

  return {
    note(key) {
      halve();
      total++;
      const known = byKey.get(key);
      if (known) {
        known.count++;
        return;
      }
      if (counters.length < size) {
        const counter: Counter = { key, count: 1, errorMax: 0 };
        counters.push(counter);
        byKey.set(key, counter);
        return;
      }
      let least = counters[0] as Counter;
      for (const counter of counters) if (counter.count < least.count) least = counter;
      byKey.delete(least.key);
      byKey.set(key, least);
      least.key = key;
      least.errorMax = least.count;
      least.count++;
    },
    top(limit) {
      halve();
      return counters
        .toSorted((a, b) => b.count - a.count)
        .slice(0, limit)
        .map(({ key, count, errorMax }) => ({ key, count, errorMax, share: total === 0 ? 0 : count / total }));
    },
  };
}
