import type { Clock } from "../base/index.ts";
import { systemClock } from "../base/index.ts";
import type { BucketMemory, CalendarMemory, WindowMemory } from "./arithmetic.ts";
import {
  bucketState,
  calendarState,
  emptyWindow,
  lookIntoBucket,
  lookIntoCalendar,
  lookIntoWindow,
  placesState,
  takeFromBucket,
  takeFromWindow,
  windowState,
} from "./arithmetic.ts";
import type { Demand, LimitDriver, Place, QuotaState, Taken } from "./driver.ts";
import { Keyed } from "./keyed.ts";
import type { Rule } from "./rule.ts";

export interface MemoryLimitsOptions {
  /** Keys that are remembered, of all rules together. Default 100,000: some 20 MB. */
  readonly keysMax?: number;
  readonly clock?: Clock;
}

/**
 * The reference driver: counts in this process, lost with it, unknown to any other. It answers at once. When it knows as
 * many keys as it may, those that were not used for longest are forgotten, and have their whole quota again: memory is
 * bounded whatever keys a client makes up, and whoever wants a quota anew has to use up half as many others as there is
 * room for first.
 */
export function createMemoryLimits(options: MemoryLimitsOptions = {}): LimitDriver & { readonly keyCount: number } {
  return new MemoryLimits(options.keysMax ?? 100_000, options.clock ?? systemClock);
}

/** By holder, when its time is over: the first to end first, since all of a key are held for as long. */
type PlacesMemory = Map<string, number>;
type Memory = BucketMemory | WindowMemory | CalendarMemory | PlacesMemory;

class MemoryLimits implements LimitDriver {
  readonly name = "memory";
  readonly flags = { shared: false };
  readonly #keys: Keyed<Memory>;
  readonly #clock: Clock;

  constructor(keysMax: number, clock: Clock) {
    this.#keys = new Keyed(keysMax);
    this.#clock = clock;
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  async open(): Promise<void> {}

  take(_slot: string, demands: readonly Demand[]): Taken {
    const nowMs = this.#clock.now();
    const memories: Memory[] = [];
    const fits: boolean[] = [];
    let allowed = true;
    for (const demand of demands) {
      const memory = this.#memoryOf(demand.key, demand.rule);
      const isFitting = this.#look(demand, memory, nowMs);
      memories.push(memory);
      fits.push(isFitting);
      allowed &&= isFitting;
    }
    const states: QuotaState[] = [];
    for (let i = 0; i < demands.length; i++) {
      const demand = demands[i] as Demand;
      const memory = memories[i] as Memory;
      if (allowed) take(demand, memory, nowMs);
      states.push(this.#state(demand, memory, fits[i] as boolean, nowMs));
    }
    return { allowed, states };
  }

  release(_slot: string, places: readonly Place[]): void {
    for (const { key, holder } of places) {
      const held = this.#keys.get(key);
      if (held instanceof Map) held.delete(holder);
    }
  }

  renew(_slot: string, places: readonly Place[]): void {
    const nowMs = this.#clock.now();
    for (const { key, holder, holdMs } of places) {
      const held = this.#keys.get(key);
      if (!(held instanceof Map) || (held.get(holder) ?? 0) <= nowMs) continue;
      // To the end of the order, which is the order of their ends.
      held.delete(holder);
      held.set(holder, nowMs + holdMs);
    }
  }

  async close(): Promise<void> {
    this.#keys.clear();
  }

  #memoryOf(key: string, rule: Rule): Memory {
    let memory = this.#keys.get(key);
    if (memory === undefined || !belongs(memory, rule)) {
      memory = emptyMemory(rule);
      this.#keys.set(key, memory);
    }
    return memory;
  }

  #look({ rule, cost }: Demand, memory: Memory, nowMs: number): boolean {
    switch (rule.kind) {
      case "bucket":
        return lookIntoBucket(rule, memory as BucketMemory, nowMs, cost);
      case "window":
        return lookIntoWindow(rule, memory as WindowMemory, nowMs, cost);
      case "calendar":
        return lookIntoCalendar(rule, memory as CalendarMemory, this.#clock.wallNow(), cost);
      case "places": {
        const held = memory as PlacesMemory;
        for (const [holder, endMs] of held) {
          if (endMs > nowMs) break;
          held.delete(holder);
        }
        return held.size + cost <= rule.quota;
      }
    }
  }

  #state({ rule, cost }: Demand, memory: Memory, fits: boolean, nowMs: number): QuotaState {
    switch (rule.kind) {
      case "bucket":
        return bucketState(rule, memory as BucketMemory, nowMs, fits, cost);
      case "window":
        return windowState(rule, memory as WindowMemory, nowMs, fits, cost);
      case "calendar":
        return calendarState(rule, memory as CalendarMemory, this.#clock.wallNow(), fits, cost);
      case "places": {
        const held = memory as PlacesMemory;
        const [firstEndMs = nowMs] = held.values();
        return placesState(rule.quota, held.size, fits, firstEndMs - nowMs);
      }
    }
  }
}

function take({ rule, cost, holder }: Demand, memory: Memory, nowMs: number): void {
  switch (rule.kind) {
    case "bucket":
      takeFromBucket(rule, memory as BucketMemory, cost);
      return;
    case "window":
      takeFromWindow(memory as WindowMemory, cost);
      return;
    case "calendar":
      (memory as CalendarMemory).used += cost;
      return;
    case "places":
      if (cost > 0) (memory as PlacesMemory).set(holder as string, nowMs + rule.holdMs);
  }
}

function emptyMemory(rule: Rule): Memory {
  switch (rule.kind) {
    case "bucket":
      return { fullAtMs: Number.NEGATIVE_INFINITY };
    case "window":
      return emptyWindow();
    case "calendar":
      return { startMs: Number.NaN, used: 0 };
    case "places":
      return new Map();
  }
}

/** A key whose rule was changed to another kind begins anew. */
function belongs(memory: Memory, { kind }: Rule): boolean {
  if (kind === "places") return memory instanceof Map;
  const field = kind === "bucket" ? "fullAtMs" : kind === "window" ? "counts" : "used";
  return field in memory;
}
