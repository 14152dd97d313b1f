import type { Random } from "../base/index.ts";
import { StartError, systemClock, systemRandom, toBytes, toMs } from "../base/index.ts";
import type { CreateCacheOptions } from "./cache-options.ts";
import type { CacheDriver } from "./driver.ts";
import { FillGate } from "./fill-gate.ts";
import { Fills } from "./fills.ts";
import { ttlMsOf } from "./limits.ts";
import { Packing } from "./packing.ts";
import { Sampler } from "./sampler.ts";
import { Shield } from "./shield.ts";
import type { CacheStats } from "./stats.ts";
import { createStats } from "./stats.ts";

/** What the views of one cache share: its parts, put together from the options. */
export class Core {
  readonly driver: CacheDriver;
  readonly stats: CacheStats = createStats();
  readonly shield: Shield;
  readonly fills: Fills;
  readonly sampler: Sampler | undefined;
  readonly gate: FillGate;
  readonly ttlMs: number;
  readonly onInvalidateIn: CreateCacheOptions["onInvalidateIn"];
  readonly #negativeTtlMs: number;
  readonly #valueBytesMax: number;
  readonly #random: Random;

  constructor(options: CreateCacheOptions) {
    const { driver, namespace, near, sampler, onError } = options;
    const { clock = systemClock, random = systemRandom } = options;
    if (!/^[\w.-]{1,64}$/.test(namespace)) {
      throw new StartError(
        "CACHE_NAMESPACE_INVALID",
        `cache: the namespace ${JSON.stringify(namespace)} must be 1 to 64 letters, digits, ".", "_" or "-"; use the name of the service`,
      );
    }
    const { stats } = this;
    this.driver = driver;
    this.ttlMs = ttlMsOf(options.ttl ?? "60s");
    this.onInvalidateIn = options.onInvalidateIn;
    this.#negativeTtlMs = ttlMsOf(options.negativeTtl ?? "10s");
    this.#valueBytesMax = toBytes(options.valueMax ?? "1mb");
    this.#random = random;
    const aboveBytes = toBytes(options.compressAbove ?? "4kb");
    // In this process, memory is spared but time is spent at each hit.
    const packing = driver.flags.shared ? new Packing({ aboveBytes, bytesMax: this.#valueBytesMax }) : undefined;
    const operationMsMax = ttlMsOf(options.operationMax ?? 250);
    this.shield = new Shield({ driver, namespace, stats, operationMsMax, near, packing, clock, onError });
    this.gate = new FillGate({
      namespace,
      concurrentMax: options.fillsMax ?? 64,
      perSecondMax: options.fillsPerSecondMax,
      clock,
    });
    this.fills = new Fills({
      shield: this.shield,
      stats,
      gate: this.gate,
      waitMsMax: toMs(options.waitMax ?? "1s"),
      withoutLease: options.fillWithoutLease,
      clock,
      random,
    });
    this.sampler = sampler && new Sampler({ ...sampler, stats, clock, random });
  }

  /** How long this text is kept. Undefined: it is too large. */
  keptMs(text: string, ttlMs: number, isNone: boolean): number | undefined {
    if (text.length * 3 > this.#valueBytesMax && Buffer.byteLength(text) > this.#valueBytesMax) {
      this.stats.oversizeCount++;
      return undefined;
    }
    const wholeMs = isNone ? Math.min(ttlMs, this.#negativeTtlMs) : ttlMs;
    return Math.max(1, Math.round(wholeMs * (0.9 + 0.2 * this.#random.next())));
  }
}
