import type { Clock } from "../base/index.ts";
import { isError, systemClock } from "../base/index.ts";
import type { CircuitBreaker, TimeLimit } from "../resilience/index.ts";
import { createCircuitBreaker, createTimeLimit } from "../resilience/index.ts";
import { Debts } from "./debts.ts";
import type { CacheDriver, CacheLookup, CacheWrite } from "./driver.ts";
import type { CacheStats } from "./stats.ts";

export interface ShieldOptions {
  readonly driver: CacheDriver;
  readonly namespace: string;
  readonly stats: CacheStats;
  readonly operationMsMax: number;
  readonly clock?: Clock | undefined;
  readonly onError?: ((error: unknown, operation: string) => void) | undefined;
}

/** How often what is owed is tried again when nothing else happens. */
const reminderMs = 1000;

const nothing: CacheLookup = { value: undefined, fence: undefined };

/**
 * A driver that never fails: its errors become misses, are counted, and shown to `onError`.
 *
 * An engine outside of this process gets a time limit and a circuit breaker as well, so that a dead one costs nothing
 * after the first calls. Removals that did not get through are owed (`debts.ts`): until they are paid, this process
 * reads nothing from the engine.
 */
export class Shield {
  readonly breaker: CircuitBreaker | undefined;

  readonly #driver: CacheDriver;
  readonly #namespace: string;
  readonly #stats: CacheStats;
  readonly #limit: TimeLimit | undefined;
  readonly #onError: ShieldOptions["onError"];
  readonly #debts = new Debts();
  readonly #clock: Clock;
  #paying: Promise<boolean> | undefined;
  #stopReminder: (() => void) | undefined;
  #closed = false;

  constructor(options: ShieldOptions) {
    const { driver, namespace, clock = systemClock } = options;
    this.#driver = driver;
    this.#clock = clock;
    this.#namespace = namespace;
    this.#stats = options.stats;
    this.#onError = options.onError;
    if (driver.flags.shared) {
      this.breaker = createCircuitBreaker({ name: `cache of ${namespace}`, clock });
      this.#limit = createTimeLimit({ name: `the cache (${driver.name})`, limit: options.operationMsMax, clock });
    }
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    if (!(await this.#isPaid())) return keys.map(() => undefined);
    const found = await this.#try("get", () => this.#driver.getMany(this.#namespace, keys));
    return found ?? keys.map(() => undefined);
  }

  async getOrLease(key: string, tags: readonly string[]): Promise<CacheLookup> {
    if (!(await this.#isPaid())) return nothing;
    return (await this.#try("get", () => this.#driver.getOrLease(this.#namespace, key, tags))) ?? nothing;
  }

  /** Stores what was loaded. False: refused, since it was invalidated meanwhile. Undefined: the engine failed. */
  fill(key: string, value: string, write: CacheWrite): Promise<boolean | undefined> {
    return this.#try("fill", () => this.#driver.set(this.#namespace, key, value, write));
  }

  async set(key: string, value: string, write: CacheWrite): Promise<void> {
    const paid = await this.#isPaid();
    const stored = paid && (await this.#try("set", () => this.#driver.set(this.#namespace, key, value, write)));
    if (stored) return;
    // The older value, if there is one, must not be seen again.
    this.#debts.addKeys([key]);
    this.#remind();
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#remove(
      "delete",
      () => this.#driver.delete(this.#namespace, keys),
      () => this.#debts.addKeys(keys),
    );
  }

  invalidate(tags: readonly string[]): Promise<void> {
    return this.#remove(
      "invalidate",
      () => this.#driver.invalidate(this.#namespace, tags),
      () => this.#debts.addTags(tags),
    );
  }

  clear(): Promise<void> {
    return this.#remove(
      "clear",
      () => this.#driver.clear(this.#namespace),
      () => this.#debts.addAll(),
    );
  }

  /** Tries once more to pay what is owed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopReminder?.();
    await this.#isPaid();
  }

  async #remove(operation: string, work: () => Promise<void>, owe: () => void): Promise<void> {
    const done = await this.#try(operation, () => work().then(() => true));
    if (done) return;
    owe();
    this.#remind();
  }

  async #isPaid(): Promise<boolean> {
    if (this.#debts.isEmpty && !this.#paying) return true;
    this.#paying ??= this.#try("pay", () => this.#debts.pay(this.#driver, this.#namespace).then(() => true)).then(
      (paid) => {
        this.#paying = undefined;
        this.#remind();
        return paid === true && this.#debts.isEmpty;
      },
    );
    return this.#paying;
  }

  /** A process that only writes would never come to pay otherwise. */
  #remind(): void {
    if (this.#stopReminder || this.#closed || this.#debts.isEmpty) return;
    this.#stopReminder = this.#clock.after(reminderMs, () => {
      this.#stopReminder = undefined;
      void this.#isPaid();
    });
  }

  async #try<T>(operation: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const limit = this.#limit;
      if (!this.breaker || !limit) return await work();
      return await this.breaker.run(() => limit(work()));
    } catch (thrown) {
      this.#stats.errorCount++;
      if (!isError(thrown, "CIRCUIT_OPEN")) this.#onError?.(thrown, operation);
      return undefined;
    }
  }
}
