import type { Clock } from "../base/index.ts";
import { isError, systemClock } from "../base/index.ts";
import type { CircuitBreaker, TimeLimit } from "../resilience/index.ts";
import { createCircuitBreaker, createTimeLimit } from "../resilience/index.ts";
import { Debts } from "./debts.ts";
import type {
  CacheDriver,
  CacheFound,
  CacheLeaseOptions,
  CacheLookup,
  CacheRemoval,
  CacheRemoved,
  CacheWrite,
} from "./driver.ts";
import type { NearMark, NearTier } from "./near.ts";
import type { Packing } from "./packing.ts";
import type { CacheStats } from "./stats.ts";

export interface ShieldOptions {
  readonly driver: CacheDriver;
  readonly namespace: string;
  readonly stats: CacheStats;
  readonly operationMsMax: number;
  /** Copies in this process. Whatever is removed here is removed from it too. */
  readonly near?: NearTier | undefined;
  readonly packing?: Packing | undefined;
  readonly clock?: Clock | undefined;
  readonly onError?: ((error: unknown, operation: string) => void) | undefined;
}

/** How often what is owed is tried again when nothing else happens. */
const reminderMs = 1000;

/**
 * A driver that never fails: its errors become misses, are counted, and shown to `onError`.
 *
 * An engine outside of this process gets a time limit and a circuit breaker as well, so that a dead one costs nothing
 * after the first calls. Removals that did not get through are owed (`debts.ts`): until they are paid, this process
 * reads nothing from the engine.
 *
 * What is read from the engine is copied to the near tier. What is removed is removed from there when the engine has
 * answered, or has failed to: not before, since a reader could put back meanwhile what the engine still had.
 */
export class Shield {
  readonly breaker: CircuitBreaker | undefined;

  readonly #driver: CacheDriver;
  readonly #namespace: string;
  readonly #stats: CacheStats;
  readonly #limit: TimeLimit | undefined;
  readonly #near: NearTier | undefined;
  readonly #packing: Packing | undefined;
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
    this.#near = options.near;
    this.#packing = options.packing;
    if (driver.flags.shared) {
      this.breaker = createCircuitBreaker({ name: `cache of ${namespace}`, clock });
      this.#limit = createTimeLimit({ name: `the cache (${driver.name})`, limit: options.operationMsMax, clock });
    }
  }

  /** Others can remove here what this process does not hear of. */
  get isShared(): boolean {
    return this.#driver.flags.shared;
  }

  async getMany(keys: readonly string[]): Promise<readonly (CacheFound | undefined)[]> {
    const near = this.#near;
    if (!near) return this.getManyFar(keys);
    const copies = keys.map((key) => near.get(this.#namespace, key));
    const missing = keys.filter((_, index) => copies[index] === undefined);
    this.#stats.nearHitCount += keys.length - missing.length;
    if (missing.length === 0) return copies;
    const far = await this.getManyFar(missing);
    let next = 0;
    return copies.map((copy) => copy ?? far[next++]);
  }

  /** What the engine has, whatever the near tier holds. */
  async getManyFar(keys: readonly string[]): Promise<readonly (CacheFound | undefined)[]> {
    const mark = this.mark();
    if (!(await this.#isPaid())) return keys.map(() => undefined);
    const list = await this.#try("get", () => this.#driver.getMany(this.#namespace, keys));
    if (!list) return keys.map(() => undefined);
    const plain = list.some((each) => each && this.#isPacked(each))
      ? await Promise.all(list.map((each, index) => each && this.#unpack(keys[index] as string, each)))
      : list;
    if (this.#near) {
      for (const [index, found] of plain.entries()) {
        if (found) this.#near.keep(this.#namespace, keys[index] as string, found, mark as NearMark);
      }
    }
    return plain;
  }

  /** Undefined: the engine failed, or may not be read yet. */
  async getOrLease(
    key: string,
    tags: readonly string[],
    options?: CacheLeaseOptions,
  ): Promise<CacheLookup | undefined> {
    const mark = this.mark();
    if (!(await this.#isPaid())) return undefined;
    const lookup = await this.#try("get", () => this.#driver.getOrLease(this.#namespace, key, tags, options));
    if (!lookup?.found) return lookup;
    const found = this.#isPacked(lookup.found) ? await this.#unpack(key, lookup.found) : lookup.found;
    if (!found) return lookup.fence === undefined ? undefined : { ...lookup, found };
    if (found.freshMs > 0) this.#near?.keep(this.#namespace, key, found, mark as NearMark);
    return { ...lookup, found };
  }

  /** To be taken before a reading or a load begins whose result may be kept in the near tier. */
  mark(): NearMark | undefined {
    return this.#near?.mark();
  }

  nearest(key: string): CacheFound | undefined {
    return this.#near?.get(this.#namespace, key);
  }

  /** What would be answered now, for who checks on it: not counted as a use. */
  async peek(key: string): Promise<CacheFound | undefined> {
    return this.#near?.peek(this.#namespace, key) ?? (await this.getManyFar([key]))[0];
  }

  /**
   * Stores what was loaded. False: refused, since it was invalidated meanwhile, or a newer version is known. Undefined: the
   * engine failed.
   */
  async fill(key: string, value: string, write: CacheWrite, mark: NearMark | undefined): Promise<boolean | undefined> {
    const packed = (await this.#packing?.pack(value)) ?? value;
    const stored = await this.#try("fill", () => this.#driver.set(this.#namespace, key, packed, write));
    if (stored && mark) this.#keepNear(key, value, write, mark, false);
    return stored;
  }

  /** Keeps what was loaded while the engine could not be reached, in this process alone. */
  fillAlone(key: string, value: string, write: CacheWrite, mark: NearMark | undefined): void {
    if (mark) this.#keepNear(key, value, write, mark, true);
  }

  /** Whether what is loaded under this fence would still be stored. Undefined: the engine failed, or may not be read yet. */
  async isCurrent(key: string, tags: readonly string[], fence: string): Promise<boolean | undefined> {
    if (!(await this.#isPaid())) return undefined;
    return this.#try("check", () => this.#driver.isCurrent(this.#namespace, key, tags, fence));
  }

  async release(key: string, fence: string): Promise<void> {
    await this.#try("release", () => this.#driver.release(this.#namespace, key, fence));
  }

  async set(key: string, value: string, write: CacheWrite): Promise<void> {
    const packed = (await this.#packing?.pack(value)) ?? value;
    const paid = await this.#isPaid();
    const stored = paid && (await this.#try("set", () => this.#driver.set(this.#namespace, key, packed, write)));
    this.#near?.remove({ kind: "keys", namespace: this.#namespace, names: [key] });
    // False: a newer version is known, and stays.
    if (stored || (paid && stored === false)) return;
    // The older value, if there is one, must not be seen again.
    this.#debts.addKeys([key], write.version);
    this.#remind();
  }

  delete(keys: readonly string[], removal?: CacheRemoval): Promise<void> {
    return this.#remove(
      "delete",
      () => this.#driver.delete(this.#namespace, keys, removal),
      () => this.#debts.addKeys(keys, removal?.version),
      { kind: "keys", namespace: this.#namespace, names: keys },
    );
  }

  invalidate(tags: readonly string[]): Promise<void> {
    return this.#remove(
      "invalidate",
      () => this.#driver.invalidate(this.#namespace, tags),
      () => this.#debts.addTags(tags),
      { kind: "tags", namespace: this.#namespace, names: tags },
    );
  }

  clear(): Promise<void> {
    return this.#remove(
      "clear",
      () => this.#driver.clear(this.#namespace),
      () => this.#debts.addAll(),
      { kind: "all", namespace: this.#namespace },
    );
  }

  /** Tries once more to pay what is owed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopReminder?.();
    await this.#isPaid();
  }

  async #remove(operation: string, work: () => Promise<void>, owe: () => void, removed: CacheRemoved): Promise<void> {
    const done = await this.#try(operation, () => work().then(() => true));
    this.#near?.remove(removed);
    if (done) return;
    owe();
    this.#remind();
  }

  #isPacked({ value }: CacheFound): boolean {
    return this.#packing?.isPacked(value) === true;
  }

  /** What does not unpack is as good as gone, and is taken out so that it can be made anew. */
  async #unpack(key: string, found: CacheFound): Promise<CacheFound | undefined> {
    if (!this.#packing) return found;
    const value = await this.#packing.unpack(found.value);
    if (value === found.value) return found;
    if (value !== undefined) return { ...found, value };
    this.#stats.corruptCount++;
    void this.delete([key]);
    return undefined;
  }

  #keepNear(key: string, value: string, { ttlMs, tags }: CacheWrite, mark: NearMark, isAlone: boolean): void {
    this.#near?.keep(this.#namespace, key, { value, tags, freshMs: ttlMs, ageMs: 0 }, mark, isAlone);
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
