/**
 * How many, and how many of them were marked, within the last `windowMs`. A ring of ten buckets: adding is a few
 * additions, reading is free, and what is older than the window leaves a tenth of it at a time.
 */
export class RatioWindow {
  /** As of the last `advance` or `add`. */
  count = 0;
  marked = 0;

  readonly #bucketMs: number;
  readonly #counts = new Float64Array(bucketCount);
  readonly #marks = new Float64Array(bucketCount);
  #tick = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / bucketCount;
  }

  add(nowMs: number, count: number, marked: number): void {
    this.advance(nowMs);
    const slot = this.#tick % bucketCount;
    this.#counts[slot] = (this.#counts[slot] as number) + count;
    this.#marks[slot] = (this.#marks[slot] as number) + marked;
    this.count += count;
    this.marked += marked;
  }

  advance(nowMs: number): void {
    const tick = Math.floor(nowMs / this.#bucketMs);
    if (tick <= this.#tick) return;
    if (tick - this.#tick >= bucketCount) {
      this.reset();
    } else {
      for (let passed = this.#tick + 1; passed <= tick; passed++) {
        const slot = passed % bucketCount;
        this.count -= this.#counts[slot] as number;
        this.marked -= this.#marks[slot] as number;
        this.#counts[slot] = 0;
        this.#marks[slot] = 0;
      }
    }
    this.#tick = tick;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#marks.fill(0);
    this.count = 0;
    this.marked = 0;
  }
}

const bucketCount = 10;
