import type { Clock, Duration, Random } from "../base/index.ts";
import { parseDuration, systemClock, systemRandom } from "../base/index.ts";
import type { TimeLimit } from "../resilience/index.ts";
import type { Demand, LimitDriver, Taken } from "./driver.ts";
import { demandsMax } from "./driver.ts";
import { limitsUnavailable, wrongLimiter } from "./errors.ts";
import type { Lease } from "./leases.ts";
import { Leases } from "./leases.ts";
import { createMemoryLimits } from "./memory.ts";
import { createPatientLimit } from "./patient-limit.ts";
import type { Rule } from "./rule.ts";
import { shareOf } from "./rule.ts";
import type { StoreGate } from "./store-gate.ts";
import { createStoreGate } from "./store-gate.ts";

/**
 * Limits and quotas: how much of something each key may have, counted together by all processes that share a store.
 *
 * Promises
 * - All demands of one `take` are decided in one step and one round trip: all are taken, or none.
 * - Of processes that race for the last of a quota, exactly one gets it. Time is the store's.
 * - A store that is down, slow or wrong has one declared meaning (`whenDown`), costs nobody more than `timeout` and, after
 *   a few failures, nothing at all; it is tried again each half second.
 * - Places (concurrency) of a process that was killed are free again after `holdMs`; those that are held for longer are
 *   renewed.
 * - Memory is bounded: see `memory.ts` for what is forgotten when it is full.
 *
 * Not promised: that a quota survives the loss of the store's data; that a request which ran out of time had not been
 * counted (it may count twice, once in the store and once here); fairness between those who wait.
 */
export interface Limiter {
  /** Opens the store. One that is down fails the start only where the app could not live without it (`refuse`). */
  open(): Promise<void>;
  /** Answers at once where counts are in this process, otherwise with a promise. Rejects only with LIMITS_UNAVAILABLE. */
  take(slot: string, demands: readonly Demand[]): Decision | Promise<Decision>;
  close(): Promise<void>;
  readonly stats: LimiterStats;
}

/**
 * - `store`: counted where it belongs. `local`: by this process's part of the quota. `none`: not counted, allowed.
 */
export interface Decision extends Taken {
  readonly by: "store" | "local" | "none";
  /** Holds the places that were taken, if any; whoever took them gives it back. */
  readonly lease: Lease | undefined;
}

export interface LimiterStats {
  /** What the store failed to answer. */
  readonly failureCount: number;
  /** Decisions without the store. */
  readonly withoutStoreCount: number;
  /** The store is left alone at the moment. */
  readonly isDown: boolean;
  /** Requests of this process that hold places now. */
  readonly leaseCount: number;
}

/**
 * What holds while the store does not answer. `local`: each process counts alone, with its part of each quota (at least
 * 1). `allow`: nothing is limited. `refuse`: what has limits is answered with 503.
 */
export type WhenDown = "local" | "allow" | "refuse";

export interface LimiterOptions {
  readonly driver: LimitDriver;
  /** Default `"local"`. */
  readonly whenDown?: WhenDown;
  /** Among how many processes a quota is divided while the store is down. Default 1. */
  readonly processes?: number;
  /** How long an answer of the store is waited for, 1 ms to 10 s. Default 50 ms, kept within 20 ms. */
  readonly timeout?: Duration;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The store was given up, or is there again. */
  readonly onChange?: (isDown: boolean, cause: unknown) => void;
}

export function createLimiter(options: LimiterOptions): Limiter {
  const { driver, whenDown = "local", processes = 1, timeout = 50 } = options;
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined || timeoutMs < 1 || timeoutMs > 10_000) {
    throw wrongLimiter(`limits: timeout ${JSON.stringify(timeout)} cannot be; write "1ms" to "10s", such as "50ms".`);
  }
  if (!Number.isInteger(processes) || processes < 1) {
    throw wrongLimiter(`limits: processes ${processes} cannot be; write how many processes share the limits, from 1.`);
  }
  return new StoreLimiter(driver, whenDown, processes, timeoutMs, options);
}

class StoreLimiter implements Limiter {
  readonly #driver: LimitDriver;
  readonly #whenDown: WhenDown;
  readonly #processes: number;
  readonly #limit: TimeLimit;
  readonly #gate: StoreGate;
  readonly #local: LimitDriver;
  readonly #leases: Leases;
  readonly #shares = new WeakMap<Rule, Rule>();
  #failureCount = 0;
  #withoutStoreCount = 0;
  #cause: unknown;

  constructor(
    driver: LimitDriver,
    whenDown: WhenDown,
    processes: number,
    timeoutMs: number,
    { clock = systemClock, random = systemRandom, onChange }: LimiterOptions,
  ) {
    this.#driver = driver;
    this.#whenDown = whenDown;
    this.#processes = processes;
    this.#limit = createPatientLimit({ name: "The store of the limits", limit: timeoutMs, clock });
    this.#gate = createStoreGate(clock, (isShut) => onChange?.(isShut, isShut ? this.#cause : undefined));
    this.#local = createMemoryLimits({ clock });
    this.#leases = new Leases(clock, random);
  }

  get stats(): LimiterStats {
    return {
      failureCount: this.#failureCount,
      withoutStoreCount: this.#withoutStoreCount,
      isDown: this.#gate.isShut,
      leaseCount: this.#leases.count,
    };
  }

  async open(): Promise<void> {
    await this.#driver.open();
    await this.#local.open();
    this.#leases.start();
  }

  take(slot: string, demands: readonly Demand[]): Decision | Promise<Decision> {
    if (demands.length > demandsMax) throw new Error(`assertion failed: ${demands.length} demands at once`);
    const held = this.#leases.name(demands);
    if (!this.#driver.flags.shared) {
      return this.#decide("store", this.#driver, slot, held, this.#driver.take(slot, held) as Taken);
    }
    if (!this.#gate.enter()) return this.#withoutStore(slot, held);
    return this.#ask(slot, held);
  }

  async close(): Promise<void> {
    await this.#leases.close();
    await this.#driver.close();
    await this.#local.close();
  }

  async #ask(slot: string, demands: readonly Demand[]): Promise<Decision> {
    let asked: Promise<Taken> | undefined;
    let taken: Taken;
    try {
      asked = Promise.resolve(this.#driver.take(slot, demands));
      taken = await this.#limit(asked);
    } catch (thrown) {
      this.#failureCount++;
      this.#cause = thrown;
      this.#gate.failed();
      // What comes after all has taken places for nobody.
      asked?.then(
        (late) => this.#decide("store", this.#driver, slot, demands, late).lease?.release(),
        () => {},
      );
      return this.#withoutStore(slot, demands);
    }
    this.#gate.succeeded();
    if (taken.allowed && this.#whenDown === "local") this.#countHere(slot, demands);
    return this.#decide("store", this.#driver, slot, demands, taken);
  }

  /**
   * What the store allowed counts against this process's own part as well, so that a store which goes away in the middle of
   * a window leaves each process what it has not used yet, not its whole part once more.
   */
  #countHere(slot: string, demands: readonly Demand[]): void {
    const shares = demands
      .filter(({ rule }) => rule.kind !== "places")
      .map((demand) => ({ ...demand, rule: this.#shareOf(demand.rule) }));
    if (shares.length > 0) this.#local.take(slot, shares);
  }

  #withoutStore(slot: string, demands: readonly Demand[]): Decision {
    this.#withoutStoreCount++;
    if (this.#whenDown === "refuse") throw limitsUnavailable(this.#cause);
    if (this.#whenDown === "allow") return { allowed: true, states: [], by: "none", lease: undefined };
    const shares = demands.map((demand) => ({ ...demand, rule: this.#shareOf(demand.rule) }));
    return this.#decide("local", this.#local, slot, shares, this.#local.take(slot, shares) as Taken);
  }

  #decide(
    by: Decision["by"],
    driver: LimitDriver,
    slot: string,
    demands: readonly Demand[],
    { allowed, states }: Taken,
  ): Decision {
    return { allowed, states, by, lease: allowed ? this.#leases.take(driver, slot, demands) : undefined };
  }

  #shareOf(rule: Rule): Rule {
    let share = this.#shares.get(rule);
    if (share === undefined) {
      share = shareOf(rule, this.#processes);
      this.#shares.set(rule, share);
    }
    return share;
  }
}
