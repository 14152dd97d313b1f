import type { Clock } from "../base/index.ts";

/**
 * A bounded map without a linked list. What is used stays: a value found in the old generation moves to the young one;
 * when the young one is full, or has been young for half of `keepMs`, the old is dropped and the young grows old. Holds at
 * most `size` values. What was not used for `keepMs` goes as others come, however few they are.
 */
export class TwoGenerations<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #youngSince: number;
  readonly #half: number;
  readonly #halfMs: number;
  readonly #clock: Clock;

  constructor(size: number, keepMs: number, clock: Clock) {
    this.#half = Math.max(1, Math.floor(size / 2));
    this.#halfMs = keepMs / 2;
    this.#clock = clock;
    this.#youngSince = clock.now();
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    const youngMs = this.#clock.now() - this.#youngSince;
    if (youngMs >= this.#halfMs || (this.#young.size >= this.#half && !this.#young.has(key))) this.#turn(youngMs);
    this.#young.set(key, value);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #turn(youngMs: number): void {
    // After a long silence both are over.
    this.#old = youngMs < 2 * this.#halfMs ? this.#young : new Map();
    this.#young = new Map();
    this.#youngSince = this.#clock.now();
  }
}
