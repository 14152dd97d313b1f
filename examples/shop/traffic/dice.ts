/** Dice that fall the same way again from the same seed (mulberry32). */
export interface Dice {
  /** From 0 up to 1, without 1. */
  next(): number;
  /** From 0 up to `count`, without it. */
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
}

export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number) => Math.floor(next() * count);
  return {
    next,
    below,
    pick(from) {
      const at = below(from.length);
      if (from.length === 0) throw new Error("there is nothing to pick from");
      return from[at] as (typeof from)[number];
    },
  };
}
