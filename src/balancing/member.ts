import { PeakEwma } from "./peak-ewma.ts";

export interface MemberOptions<T> {
  /** Unique in its group, and the same after a restart: hashing goes by it. */
  readonly name: string;
  /** Default 1. */
  readonly weight?: number | undefined;
  readonly zone?: string | undefined;
  /** What the caller wants back when the member is picked. */
  readonly value: T;
}

export type MemberState = "available" | "ejected" | "unhealthy";

/** One of several that do the same, and what is known of it. */
export class Member<T = unknown> {
  readonly name: string;
  readonly zone: string | undefined;
  value: T;
  weight: number;
  inFlight = 0;
  readonly latency = new PeakEwma();
  /** By those who asked it; true until they say otherwise. */
  isHealthy = true;
  /** Until then it is left out, for what became of requests. */
  ejectedUntilMs: number | undefined = undefined;
  /** How often, of late: each makes the next one longer. */
  ejectionCount = 0;
  consecutiveFailures = 0;
  /** Since the last look. */
  callCount = 0;
  failureCount = 0;
  /** Smooth weighted turns: what it is owed. */
  credit = 0;
  /** Of its name, for hashing. */
  readonly hash: number;
  #rampFromMs = 0;
  #rampMs = 0;
  /** Not those of outliers: these end with a success, and are forgotten. */
  #failuresInRow = 0;
  #failedAtMs = 0;

  constructor({ name, weight = 1, zone, value }: MemberOptions<T>) {
    this.name = name;
    this.weight = weight;
    this.zone = zone;
    this.value = value;
    this.hash = hashOf(name);
  }

  get state(): MemberState {
    if (!this.isHealthy) return "unhealthy";
    return this.ejectedUntilMs === undefined ? "available" : "ejected";
  }

  noteSuccess(): void {
    this.#failuresInRow = 0;
  }

  noteFailure(nowMs: number): void {
    this.#failuresInRow = Math.min(doublingsMax, this.#failuresInRow + 1);
    this.#failedAtMs = nowMs;
  }

  /**
   * How many times more it costs because it failed: twice with each failure in a row, forgotten within seconds, and at
   * once with the first success. Who fails fast must not look fast.
   */
  penaltyAt(nowMs: number): number {
    if (this.#failuresInRow === 0) return 1;
    return 1 + (2 ** this.#failuresInRow - 1) * Math.exp((this.#failedAtMs - nowMs) / penaltyDecayMs);
  }

  /** From now on it gets more and more, and its full share after `rampMs`. */
  startSlowly(nowMs: number, rampMs: number): void {
    this.#rampFromMs = nowMs;
    this.#rampMs = rampMs;
  }

  /** Its share against the others: the weight, or the part of it that a member which is new or came back gets. */
  weightAt(nowMs: number): number {
    if (this.#rampMs === 0) return this.weight;
    const part = (nowMs - this.#rampFromMs) / this.#rampMs;
    if (part < 1) return this.weight * Math.max(firstShare, part);
    this.#rampMs = 0;
    return this.weight;
  }
}

const doublingsMax = 6;
const penaltyDecayMs = 3000;

/** Of its share, at the beginning. */
const firstShare = 0.1;

/** 32 bits of FNV-1a, mixed so that names which differ in their last letter lie far from each other. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** The finalizer of MurmurHash3. */
export function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
