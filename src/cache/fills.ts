import type { CallContext, Clock } from "../base/index.ts";
import type { Bulkhead } from "../resilience/index.ts";
import { createBulkhead, untilCancelled } from "../resilience/index.ts";
import type { Shield } from "./shield.ts";
import type { CacheStats } from "./stats.ts";

/** How a missing entry is made. */
export interface Filling {
  readonly key: string;
  readonly tags: readonly string[];
  /** The text of the loaded value. Undefined: nothing to remember. */
  load(): Promise<string | undefined>;
  /** How long the text may be kept. Undefined: it must not be stored. */
  ttlMs(text: string): number | undefined;
}

export interface FillsOptions {
  readonly namespace: string;
  readonly shield: Shield;
  readonly stats: CacheStats;
  readonly concurrentMax: number;
  readonly clock?: Clock;
}

interface Flight {
  readonly tags: readonly string[];
  /** The call whose `load` runs. Its own cancellation may break the load, which is then not the fault of the others. */
  readonly leader: CallContext | undefined;
  answer: Promise<string | undefined>;
}

const leadersMax = 3;
const queueMax = 1024;

/**
 * Single-flight: of all that want the same missing entry at the same time, in this process, one loads it.
 *
 * - Who joins waits as long as its own call lasts, and leaves without a trace; the load goes on for the others.
 * - When a load fails because the call that led it was cancelled, the others try again, with up to three leaders.
 * - A removal detaches the flights that it concerns: those who wait get what they asked for, its result is not stored,
 *   and whoever asks after the removal starts anew. So nobody reads what it has just invalidated.
 * - Loads of different entries are bounded together: `concurrentMax` run, 1,024 wait for at most 1 s, the rest is
 *   refused with `BULKHEAD_FULL`. That is what keeps a database alive when the whole cache is lost at once.
 */
export class Fills {
  readonly bulkhead: Bulkhead;

  readonly #shield: Shield;
  readonly #stats: CacheStats;
  readonly #flights = new Map<string, Flight>();

  constructor(options: FillsOptions) {
    this.#shield = options.shield;
    this.#stats = options.stats;
    this.bulkhead = createBulkhead({
      name: `cache fills of ${options.namespace}`,
      concurrentMax: options.concurrentMax,
      queueMax,
      waitMax: "1s",
      ...(options.clock && { clock: options.clock }),
    });
  }

  async get(filling: Filling, context: CallContext | undefined): Promise<string | undefined> {
    for (let round = 1; ; round++) {
      const flight = this.#join(filling, context);
      try {
        return await (context ? untilCancelled(flight.answer, context) : flight.answer);
      } catch (thrown) {
        const isOurs = flight.leader === context || !flight.leader?.cancelled || context?.cancelled;
        if (isOurs || round >= leadersMax) throw thrown;
      }
    }
  }

  detachKeys(keys: readonly string[]): void {
    for (const key of keys) this.#flights.delete(key);
  }

  detachTags(tags: readonly string[]): void {
    const wanted = new Set(tags);
    for (const [key, flight] of this.#flights) {
      if (flight.tags.some((tag) => wanted.has(tag))) this.#flights.delete(key);
    }
  }

  detachAll(): void {
    this.#flights.clear();
  }

  #join(filling: Filling, context: CallContext | undefined): Flight {
    const running = this.#flights.get(filling.key);
    if (running) {
      this.#stats.joinCount++;
      return running;
    }
    const flight: Flight = { tags: filling.tags, leader: context, answer: Promise.resolve(undefined) };
    this.#flights.set(filling.key, flight);
    flight.answer = this.#fly(flight, filling);
    return flight;
  }

  async #fly(flight: Flight, filling: Filling): Promise<string | undefined> {
    try {
      const { value, fence } = await this.#shield.getOrLease(filling.key, filling.tags);
      if (value !== undefined) {
        this.#stats.hitCount++;
        this.#land(flight, filling.key);
        return value;
      }
      this.#stats.missCount++;
      const text = await this.#load(flight, filling);
      // Whoever asks while it is being stored still joins this flight.
      void this.#store(flight, filling, text, fence).then(() => this.#land(flight, filling.key));
      return text;
    } catch (thrown) {
      this.#land(flight, filling.key);
      throw thrown;
    }
  }

  async #load(flight: Flight, filling: Filling): Promise<string | undefined> {
    this.#stats.loadCount++;
    try {
      return await this.bulkhead.run(() => filling.load(), flight.leader);
    } catch (thrown) {
      this.#stats.loadErrorCount++;
      throw thrown;
    }
  }

  /** Never rejects: the shield does not. */
  async #store(
    flight: Flight,
    { key, tags, ttlMs }: Filling,
    text: string | undefined,
    fence: string | undefined,
  ): Promise<void> {
    if (text === undefined || fence === undefined) return;
    const keptMs = ttlMs(text);
    if (keptMs === undefined) return;
    const isDetached = this.#flights.get(key) !== flight;
    const stored = !isDetached && (await this.#shield.fill(key, text, { ttlMs: keptMs, tags, fence }));
    if (stored === false) this.#stats.staleLoadCount++;
  }

  #land(flight: Flight, key: string): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
