import { isDeepStrictEqual } from "node:util";
import type { Clock, Random } from "../base/index.ts";
import { StartError } from "../base/index.ts";
import type { CacheFound } from "./driver.ts";
import type { CacheStats } from "./stats.ts";
import { ageBucketOf } from "./stats.ts";

export interface CacheSamplerOptions {
  /** The part of the hits of `getOrLoad` that is compared, 0 to 1. */
  readonly rate: number;
  /** Comparisons that begin in a second, whatever the rate. Default 10. */
  readonly perSecondMax?: number;
  /** Told of each entry that does not agree with the truth, 5 s after it was served. */
  readonly onMismatch?: (key: string, ageMs: number) => void;
}

/** What is compared: an answer that was given, and how to get both sides again. */
export interface Sample {
  readonly key: string;
  readonly found: CacheFound;
  /** What would be answered now, from the cache. */
  cached(): Promise<string | undefined>;
  truth(): Promise<string | undefined>;
}

export interface SamplerOptions extends CacheSamplerOptions {
  readonly stats: CacheStats;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Compares a few of the hits with the truth, after they were answered, and counts those that a reader could still get
 * wrong later: what differs is compared again after 0.1, 1 and 5 s, and only a cache that differs each time is a mismatch.
 * So a change in flight, and an invalidation on its way, are none.
 *
 * A comparison costs one load, one that differs up to four. At most 100 are under way; the rest is not sampled.
 */
export class Sampler {
  readonly #options: SamplerOptions;
  readonly #everyMs: number;
  #nextAt = 0;
  #underWayCount = 0;

  constructor(options: SamplerOptions) {
    const { rate, perSecondMax = 10 } = options;
    if (!(rate >= 0 && rate <= 1 && perSecondMax > 0)) {
      throw new StartError(
        "CACHE_SAMPLER_INVALID",
        `cache: the sampler's rate must be between 0 and 1, such as 0.001, and perSecondMax more than 0; not ${rate} and ${perSecondMax}`,
      );
    }
    this.#options = options;
    this.#everyMs = 1000 / perSecondMax;
  }

  /** Whether this hit is to be compared. Cheap. */
  picks(): boolean {
    const { rate, random, clock } = this.#options;
    if (random.next() >= rate || this.#underWayCount >= underWayMax) return false;
    const nowMs = clock.now();
    if (nowMs < this.#nextAt) return false;
    this.#nextAt = nowMs + this.#everyMs;
    return true;
  }

  /** Never rejects. */
  async compare(sample: Sample): Promise<void> {
    const { stats, onMismatch } = this.#options;
    this.#underWayCount++;
    stats.sampleCount++;
    try {
      if (await this.#agrees(sample)) return;
      stats.mismatchCounts[ageBucketOf(sample.found.ageMs)]++;
      onMismatch?.(sample.key, sample.found.ageMs);
    } catch {
      stats.sampleErrorCount++;
    } finally {
      this.#underWayCount--;
    }
  }

  async #agrees({ found, cached, truth }: Sample): Promise<boolean> {
    if (isSame(found.value, await truth())) return true;
    for (const waitMs of recheckWaitsMs) {
      await new Promise<void>((resolve) => this.#options.clock.after(waitMs, resolve));
      const now = await cached();
      if (now === undefined || isSame(now, await truth())) return true;
    }
    return false;
  }
}

const underWayMax = 100;
/** 0.1, 1 and 5 s after the hit. */
const recheckWaitsMs = [100, 900, 4000];

/** The order of properties does not count. */
function isSame(one: string, other: string | undefined): boolean {
  if (one === other) return true;
  return other !== undefined && isDeepStrictEqual(JSON.parse(one), JSON.parse(other));
}
