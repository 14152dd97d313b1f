import type { CallContext, Clock, Random } from "../base/index.ts";
import { isError, systemClock, systemRandom } from "../base/index.ts";
import { untilCancelled } from "../resilience/index.ts";
import type { CacheFound, CacheLookup } from "./driver.ts";
import type { FillGate } from "./fill-gate.ts";
import type { Answer, Filling, Loaded } from "./flight.ts";
import { Flight } from "./flight.ts";
import type { NearMark } from "./near.ts";
import type { Shield } from "./shield.ts";
import type { CacheStats } from "./stats.ts";

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

const leadersMax = 3;
const pollMsMin = 5;
const pollMsMax = 50;

/**
 * Of all that want the same missing entry at the same time, one loads it: in this process by single-flight, and between
 * processes by the lease that the engine gives.
 *
 * - Who joins waits as long as its own call lasts, and leaves without a trace; the load goes on for the others.
 * - When a load fails because the call that led it was cancelled, the others try again, with up to three leaders. Whoever
 *   comes after the cancellation starts anew at once.
 * - A load that takes longer than `holdMs` (10 s) is joined by nobody, and whoever had joined it tries again: one of them
 *   leads. Its own caller goes on waiting, and its result is stored if nobody was sooner. After `leaseMs` (30 s) it is
 *   forgotten: it holds no place in the gate, and its result is given but not stored. So a key whose load hangs costs one
 *   more load every 10 s, and at most three places.
 * - Who finds that another process holds the lease looks again every 5 to 50 ms. A holder that fails gives the lease back;
 *   one that dies, or takes longer than `waitMsMax`, is not waited for any more.
 * - An entry that is stale, but not by more than `staleMs`, is given at once, and one process loads it anew beside that.
 *   One within `staleIfErrorMs` is given when the load fails, is refused, or is waited for in vain: after the engine has
 *   said once more that it is there, so that it was not invalidated meanwhile.
 * - A removal detaches the flights that it concerns: those who wait get what they asked for, its result is not stored,
 *   and whoever asks after the removal starts anew. So nobody reads what it has just invalidated.
 * - A removal by another process does the same. Whoever would join a load on a shared engine asks that first whether the
 *   lease is still good. It costs one question at a time for each load, shared by all who came before it was asked; an
 *   engine that does not answer lets them join.
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
    for (let failedCount = 0; ; ) {
      const { flight, waited } = await this.#board(filling, context);
      try {
        const answer = await (context ? untilCancelled(waited(), context) : waited());
        if (answer) return answer;
      } catch (thrown) {
        const isOurs = flight.leader === context || !flight.leader?.cancelled || context?.cancelled;
        if (isOurs || ++failedCount >= leadersMax) throw thrown;
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
    for (const flight of this.#underWay) if (concerns(flight.filling)) this.#void(flight);
  }

  /** The flight to wait for, and how: as its leader, or as one who shares it. */
  async #board(filling: Filling, context: CallContext | undefined) {
    for (;;) {
      const running = this.#flights.get(filling.key);
      if (!running) {
        const flight = this.#depart(filling, context);
        return { flight, waited: () => flight.answer };
      }
      if (running.leader?.cancelled) this.#leave(running);
      else if (await this.#isShareable(running)) {
        this.#stats.joinCount++;
        return { flight: running, waited: () => running.shared };
      } else this.#void(running);
      if (context?.cancelled) throw context.cancelled;
    }
  }

  /** Whether its result is still one that may be given to who asks now. */
  async #isShareable(flight: Flight): Promise<boolean> {
    const { fence, filling } = flight;
    // Without a fence it has not read anything yet, or there is no engine to ask. In this process removals detach.
    if (fence === undefined || !this.#shield.isShared) return true;
    return flight.asked(async () => (await this.#shield.isCurrent(filling.key, filling.tags, fence)) !== false);
  }

  #depart(filling: Filling, context: CallContext | undefined): Flight {
    const flight = this.#begin(filling, context);
    this.#flights.set(filling.key, flight);
    flight.answer = this.#fly(flight).catch((thrown) => {
      this.#land(flight);
      throw thrown;
    });
    return flight;
  }

  #begin(filling: Filling, leader: CallContext | undefined): Flight {
    const flight = new Flight(filling, leader);
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
    try {
      return { text: await this.#load(flight, lookup, mark), hit: undefined };
    } catch (thrown) {
      const kept = await this.#keptInstead(flight, lookup);
      this.#abort(flight);
      if (!kept) throw thrown;
      return { text: kept.value, hit: undefined };
    }
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
    this.#load(flight, lookup, mark).catch(() => this.#abort(flight));
  }

  /** Loads and stores. Whoever asks while it is being stored still joins this flight. */
  async #load(
    flight: Flight,
    lookup: CacheLookup | undefined,
    mark: NearMark | undefined,
  ): Promise<string | undefined> {
    const { filling, leader } = flight;
    const source = { primary: lookup?.primary ?? true };
    flight.fence = lookup?.fence;
    flight.begin(
      this.#clock,
      () => this.#unlist(flight),
      () => this.#void(flight),
    );
    try {
      const loaded = await this.#options.gate.run(() => {
        this.#stats.loadCount++;
        return filling.load(source);
      }, leader);
      void this.#store(flight, loaded, mark).then(() => this.#land(flight));
      return loaded?.text;
    } catch (thrown) {
      if (isError(thrown, "BULKHEAD_FULL") || isError(thrown, "CACHE_FILLS_LIMITED")) this.#stats.refusedLoadCount++;
      else this.#stats.loadErrorCount++;
      throw thrown;
    }
  }

  /** What may be given although loading failed: only what the engine still has, since loading may have taken long. */
  async #keptInstead(flight: Flight, lookup: CacheLookup | undefined): Promise<CacheFound | undefined> {
    const { filling, leader } = flight;
    const { key, tags, staleIfErrorMs } = filling;
    const isUsable = (found: CacheFound | undefined) => found !== undefined && -found.freshMs <= staleIfErrorMs;
    if (!isUsable(lookup?.found) || flight.isDetached || leader?.cancelled) return undefined;
    const again = await this.#shield.getOrLease(key, tags);
    if (again?.fence !== undefined) void this.#shield.release(key, again.fence);
    const found = again?.found;
    if (!found || !isUsable(found) || flight.isDetached) return undefined;
    if (found.freshMs <= 0) this.#stats.staleErrorCount++;
    return found;
  }

  /** Never rejects: the shield does not. */
  async #store(flight: Flight, loaded: Loaded | undefined, mark: NearMark | undefined): Promise<void> {
    const { key, tags, ttlMs, staleMs, staleIfErrorMs } = flight.filling;
    const { fence } = flight;
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

  /** What was removed must not be stored, nor given to who asks from now on. */
  #void(flight: Flight): void {
    flight.isDetached = true;
    this.#land(flight);
  }

  /** Its result may still be stored, but whoever comes loads too, and is not to wait for its lease. */
  #leave(flight: Flight): void {
    this.#unlist(flight);
    if (flight.fence !== undefined) void this.#shield.release(flight.filling.key, flight.fence);
  }

  #abort(flight: Flight): void {
    this.#land(flight);
    if (flight.fence !== undefined) void this.#shield.release(flight.filling.key, flight.fence);
  }

  #land(flight: Flight): void {
    flight.end();
    this.#underWay.delete(flight);
    this.#unlist(flight);
  }

  #unlist(flight: Flight): void {
    const { key } = flight.filling;
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
