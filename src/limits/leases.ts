import type { Clock, Random } from "../base/index.ts";
import { throwLater } from "../base/index.ts";
import type { Demand, LimitDriver, Place } from "./driver.ts";

/** Places that one request holds. */
export interface Lease {
  /** Gives them back. Once; repeating it does nothing. */
  release(): void;
}

/** How often places that are still held are renewed: well within the shortest hold that is allowed for them. */
export const renewMs = 10_000;
/** How long a place is kept for a process that does not say that it still needs it. */
export const placeHoldMs = 30_000;

/**
 * The places that this process holds. Each holder has a name that no other has; all that are held for longer than 10 s are
 * renewed together, one request to the store for each slot.
 */
export class Leases {
  readonly #clock: Clock;
  /** 72 random bits for the process, then a number. */
  readonly #prefix: string;
  readonly #held = new Set<Held>();
  #number = 0;
  #stop: (() => void) | undefined;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#prefix = Buffer.from(random.fill(new Uint8Array(9))).toString("base64url");
  }

  get count(): number {
    return this.#held.size;
  }

  start(): void {
    this.#stop ??= this.#clock.every(renewMs, () => this.#renew());
  }

  /** The same demands, with a holder's name for those of places. */
  name(demands: readonly Demand[]): readonly Demand[] {
    if (!demands.some(({ rule }) => rule.kind === "places")) return demands;
    const holder = `${this.#prefix}${this.#number++}`;
    return demands.map((demand) => (demand.rule.kind === "places" ? { ...demand, holder } : demand));
  }

  /** Remembers what was taken; undefined where no place was. */
  take(driver: LimitDriver, slot: string, demands: readonly Demand[]): Lease | undefined {
    const places: Place[] = [];
    for (const { rule, key, holder, cost } of demands) {
      if (rule.kind === "places" && holder !== undefined && cost > 0) places.push({ key, holder, holdMs: rule.holdMs });
    }
    if (places.length === 0) return undefined;
    const held: Held = { driver, slot, places, sinceMs: this.#clock.now() };
    this.#held.add(held);
    return {
      release: () => {
        if (this.#held.delete(held)) run(() => driver.release(slot, places));
      },
    };
  }

  /** What is held stays held until its time is over: the requests are gone with the process. */
  async close(): Promise<void> {
    this.#stop?.();
    this.#stop = undefined;
    const all = [...this.#held];
    this.#held.clear();
    await Promise.all(all.map(async ({ driver, slot, places }) => driver.release(slot, places)).map(ignoreFailure));
  }

  #renew(): void {
    const nowMs = this.#clock.now();
    const due = new Map<LimitDriver, Map<string, Place[]>>();
    for (const { driver, slot, places, sinceMs } of this.#held) {
      if (nowMs - sinceMs < renewMs / 2) continue;
      const slots = due.get(driver) ?? new Map<string, Place[]>();
      due.set(driver, slots);
      slots.set(slot, [...(slots.get(slot) ?? []), ...places]);
    }
    for (const [driver, slots] of due) for (const [slot, places] of slots) run(() => driver.renew(slot, places));
  }
}

interface Held {
  readonly driver: LimitDriver;
  readonly slot: string;
  readonly places: readonly Place[];
  readonly sinceMs: number;
}

/** A store that fails gives the places back by itself, when their time is over. */
function run(work: () => void | Promise<void>): void {
  try {
    const working = work();
    if (working) void ignoreFailure(working);
  } catch (thrown) {
    throwLater(thrown);
  }
}

function ignoreFailure(working: Promise<void>): Promise<void> {
  return working.catch(() => {});
}
