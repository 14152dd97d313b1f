/**
 * Durations by buckets that are a 64th of their value wide or less, from 1 µs to 71 min, in 14 KiB: as much as a report
 * needs, however many there are. (After HdrHistogram.)
 */
export class Histogram {
  count = 0;
  #maxUs = 0;
  readonly #counts = new Uint32Array(bucketOf(usMax) + 1);

  add(ms: number): void {
    const us = Math.min(usMax, Math.max(0, Math.round(ms * 1000)));
    const bucket = bucketOf(us);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.count++;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  get maxMs(): number {
    return this.#maxUs / 1000;
  }

  /** The duration that a share of all do not exceed, in milliseconds; 0 when there are none. */
  at(share: number): number {
    let left = Math.ceil(share * this.count);
    if (this.count === 0) return 0;
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return Math.min(topOf(bucket), this.#maxUs) / 1000;
    }
    return this.#maxUs / 1000;
  }
}

const usMax = 2 ** 32 - 1;
const linear = 128;

function bucketOf(us: number): number {
  if (us < linear) return us;
  const exponent = 31 - Math.clz32(us);
  return linear + (exponent - 7) * 64 + ((us >>> (exponent - 6)) & 63);
}

/** The largest value of a bucket. */
function topOf(bucket: number): number {
  if (bucket < linear) return bucket;
  const exponent = 7 + Math.floor((bucket - linear) / 64);
  return 2 ** exponent + (((bucket - linear) % 64) + 1) * 2 ** (exponent - 6) - 1;
}
