import type { Verdict } from "./verdict.ts";
import { createVerdict } from "./verdict.ts";

export interface CacheSample {
  readonly key: string;
  /** What a reader through the cache got; undefined: a miss. */
  readonly cached: string | undefined;
  /** What the database held then. */
  readonly stored: string | undefined;
  /** Since the last write of the key was acknowledged. */
  readonly quietMs: number;
}

export interface CacheOptions {
  readonly samples: readonly CacheSample[];
  /** From here on the two must agree. Default 5,000. */
  readonly quietMsMin?: number;
}

/**
 * Cache and database agree once a key has been quiet for long enough. A miss agrees with everything. Findings: `mismatch`.
 * Samples of keys that were not quiet yet are counted as `early`, and where they disagree, as `earlyMismatches`.
 */
export function checkCache({ samples, quietMsMin = 5000 }: CacheOptions): Verdict {
  const verdict = createVerdict("cache");
  const disagrees = ({ cached, stored }: CacheSample): boolean => cached !== undefined && cached !== stored;
  const late = samples.filter(({ quietMs }) => quietMs >= quietMsMin);
  const early = samples.filter(({ quietMs }) => quietMs < quietMsMin);
  for (const { key, cached, stored, quietMs } of late.filter(disagrees))
    verdict.find(
      "mismatch",
      key,
      `the cache has ${short(cached)} and the database ${short(stored)}, ${quietMs} ms after the last write`,
    );
  const hits = late.filter(({ cached }) => cached !== undefined).length;
  verdict.count("samples", late.length);
  verdict.count("hits", hits);
  verdict.count("early", early.length);
  verdict.count("earlyMismatches", early.filter(disagrees).length);
  if (hits === 0) verdict.doubt("no sample of a quiet key was answered by the cache");
  return verdict.end();
}

const short = (value: string | undefined): string =>
  value === undefined ? "nothing" : JSON.stringify(value.slice(0, 60));
