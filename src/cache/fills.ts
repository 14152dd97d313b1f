import type { CallContext, Clock, Random } from "../base/index.ts";
import { isError, systemClock, systemRandom } from "../base/index.ts";
import { untilCancelled } from "../resilience/index.ts";
import type { CacheFound, CacheLookup } from "./driver.ts";
import type { FillGate } from "./fill-gate.ts";
import type { NearMark } from "./near.ts";
import type { Shield } from "./shield.ts";
import type { CacheStats } from "./stats.ts";

/** How a missing entry is made, and what may be given in its place. */
export interface Filling {
  readonly key: string;
  readonly tags: readonly string[];
  /** How long beyond its time an entry is given while it is loaded anew, and how long when that fails. */
  readonly staleMs: number;
  readonly staleIfErrorMs: number;
  /** The text of the loaded value. Undefined: nothing to remember. */
  load(source: LoadSource): Promise<Loaded | undefined>;
  /** How long the text may be kept. Undefined: it must not be stored. */
  ttlMs(loaded: Loaded): number | undefined;
}

export interface Loaded {
  readonly text: string;
  readonly version: number | undefined;
  /** It says that there is none. */
  readonly isNone: boolean;
}

export interface LoadSource {
  /**
   * What is loaded was changed less than a minute ago, or that is not known: a replica may not have the change yet. Load
   * from the primary, or what is stale would be cached.
   */
  readonly primary: boolean;
}

export interface FillsOptions {
  readonly shield: Shield;
  readonly stats: CacheStats;
  readonly gate: FillGate;
  readonly waitMsMax: number;
  /** @internal A mutant for the proof tools: results are stored whatever was invalidated while they were loaded. */
  readonly withoutLease?: boolean | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

export interface Answer {
  readonly text: string | undefined;
  /** Present when it was in the cache, and fresh. */
  readonly hit: CacheFound | undefined;
}

interface Flight {
  readonly filling: Filling;
  /** The call whose `load` runs. Its own cancellation may break the load, which is then not the fault of the others. */
  readonly leader: CallContext | undefined;
  /** A removal concerned it: its result may be given to who waits, and must not be stored. */
  isDetached: boolean;
  answer: Promise<Answer>;
}

const leadersMax = 3;
const pollMsMin = 5;
const pollMsMax = 50;

/**
 * Of all that want the same missing entry at the same time, one loads it: in this process by single-flight, and between
 * processes by the lease that the engine gives.
 *
 * - Who joins waits as long as its own call lasts, and leaves without a trace; the load goes on for the others.
 * - When a load fails because the call that led it was cancelled, the others try again, with up to three leaders.
 * - Who finds that another process holds the lease looks again every 5 to 50 ms. A holder that fails gives the lease back;
 *   one that dies, or takes longer than `waitMsMax`, is not waited for any more.
 * - An entry that is stale, but not by more than `staleMs`, is given at once, and one process loads it anew beside that.
 *   One within `staleIfErrorMs` is given when the load fails, is refused, or is waited for in vain.
 * - A removal detaches the flights that it concerns: those who wait get what they asked for, its result is not stored,
 *   and whoever asks after the removal starts anew. So nobody reads what it has just invalidated.
 */
export class Fills {
  readonly #options: FillsOptions;
  readonly #shield: Shield;
  readonly #stats: CacheStats;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Those that can be joined, by key. */
  readonly #flights = new Map<string, Flight>();
  /** All whose result may still be stored: also those that load anew beside a stale answer. */
  readonly #underWay = new Set<Flight>();

  constructor(options: FillsOptions) {
    this.#options = options;
    this.#shield = options.shield;
    this.#stats = options.stats;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  async get(filling: Filling, context: CallContext | undefined): Promise<Answer> {
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
    const wanted = new Set(keys);
    this.#detach(({ key }) => wanted.has(key));
  }

  detachTags(tags: readonly string[]): void {
    const wanted = new Set(tags);
    this.#detach((filling) => filling.tags.some((tag) => wanted.has(tag)));
  }

  detachAll(): void {
    this.#detach(() => true);
  }

  #detach(concerns: (filling: Filling) => boolean): void {
    for (const flight of this.#underWay) {
      if (!concerns(flight.filling)) continue;
      flight.isDetached = true;
      this.#land(flight);
    }
  }

  #join(filling: Filling, context: CallContext | undefined): Flight {
    const running = this.#flights.get(filling.key);
    if (running) {
      this.#stats.joinCount++;
      return running;
    }
    const flight = this.#begin(filling, context);
    this.#flights.set(filling.key, flight);
    flight.answer = this.#fly(flight).catch((thrown) => {
      this.#land(flight);
      throw thrown;
    });
    return flight;
  }

  #begin(filling: Filling, leader: CallContext | undefined): Flight {
    const flight: Flight = { filling, leader, isDetached: false, answer: nothing };
    this.#underWay.add(flight);
    return flight;
  }

  async #fly(flight: Flight): Promise<Answer> {
    const { filling } = flight;
    const mark = this.#shield.mark();
    const lookup = await this.#lookUp(flight);
    const found = lookup?.found;
    if (found && found.freshMs > 0) {
      this.#stats.hitCount++;
      this.#land(flight);
      return { text: found.value, hit: found };
    }
    this.#stats.missCount++;
    if (found && -found.freshMs <= filling.staleMs) {
      this.#stats.staleHitCount++;
      if (lookup.fence !== undefined) this.#refresh(filling, lookup, mark);
      this.#land(flight);
      return { text: found.value, hit: undefined };
    }
    const loaded = await this.#load(flight, lookup, mark);
    return { text: loaded, hit: undefined };
  }

  /** The answer of the engine, as soon as it is not "busy". */
  async #lookUp({ filling, leader }: Flight): Promise<CacheLookup | undefined> {
    const { key, tags, staleMs } = filling;
    const patientUntil = this.#clock.now() + this.#options.waitMsMax;
    let waitMs = pollMsMin;
    for (let round = 0; ; round++) {
      const insist = round > 0 && this.#clock.now() >= patientUntil;
      const lookup = await this.#shield.getOrLease(key, tags, insist ? { insist } : undefined);
      if (!lookup?.isBusy || (lookup.found && -lookup.found.freshMs <= staleMs)) return lookup;
      if (round === 0) this.#stats.waitCount++;
      const waited = this.#clock.sleep(waitMs * (0.5 + this.#random.next() / 2));
      await (leader ? untilCancelled(waited, leader) : waited);
      waitMs = Math.min(waitMs * 2, pollMsMax);
    }
  }

  /** Loads anew beside an answer that was given. Who gave it does not wait, and is not told of an error. */
  #refresh(filling: Filling, lookup: CacheLookup, mark: NearMark | undefined): void {
    const flight = this.#begin(filling, undefined);
    this.#load(flight, lookup, mark).catch(() => {});
  }

  /** Loads and stores. Whoever asks while it is being stored still joins this flight. */
  async #load(
    flight: Flight,
    lookup: CacheLookup | undefined,
    mark: NearMark | undefined,
  ): Promise<string | undefined> {
    const { filling, leader } = flight;
    const source = { primary: lookup?.primary ?? true };
    const fence = lookup?.fence;
    try {
      const loaded = await this.#options.gate.run(() => {
        this.#stats.loadCount++;
        return filling.load(source);
      }, leader);
      void this.#store(flight, loaded, lookup, mark).then(() => this.#land(flight));
      return loaded?.text;
    } catch (thrown) {
      if (isError(thrown, "BULKHEAD_FULL") || isError(thrown, "CACHE_FILLS_LIMITED")) this.#stats.refusedLoadCount++;
      else this.#stats.loadErrorCount++;
      this.#land(flight);
      if (fence !== undefined) void this.#shield.release(filling.key, fence);
      const found = lookup?.found;
      if (!found || -found.freshMs > filling.staleIfErrorMs || flight.isDetached || leader?.cancelled) throw thrown;
      this.#stats.staleErrorCount++;
      return found.value;
    }
  }

  /** Never rejects: the shield does not. */
  async #store(
    flight: Flight,
    loaded: Loaded | undefined,
    lookup: CacheLookup | undefined,
    mark: NearMark | undefined,
  ): Promise<void> {
    const { key, tags, ttlMs, staleMs, staleIfErrorMs } = flight.filling;
    const fence = lookup?.fence;
    const isVoid = flight.isDetached && !this.#options.withoutLease;
    const keptMs = loaded && !isVoid ? ttlMs(loaded) : undefined;
    if (loaded === undefined || keptMs === undefined) {
      if (fence !== undefined) await this.#shield.release(key, fence);
      return;
    }
    const { text, version } = loaded;
    const write = { ttlMs: keptMs, keepMs: Math.max(staleMs, staleIfErrorMs), tags, version };
    // The engine is gone, or has no room.
    if (fence === undefined) return this.#shield.fillAlone(key, text, write, mark);
    const shown = this.#options.withoutLease ? undefined : fence;
    const stored = await this.#shield.fill(key, text, { ...write, fence: shown }, mark);
    if (stored === false) this.#stats.staleLoadCount++;
    else if (stored === undefined) await this.#shield.release(key, fence);
  }

  #land(flight: Flight): void {
    this.#underWay.delete(flight);
    const { key } = flight.filling;
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}

const nothing: Promise<Answer> = Promise.resolve({ text: undefined, hit: undefined });
