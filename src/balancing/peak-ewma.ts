/**
 * The latency of a member as a caller should expect it: a peak at once, and then slowly less (Finagle's Peak EWMA, decay
 * 10 s). It rises with the first slow answer and falls with time, also when nothing is asked: whoever was slow is tried
 * again after a while.
 */
export class PeakEwma {
  readonly #decayMs: number;
  #valueMs = 0;
  #atMs = 0;
  /** Whether anything was ever observed. */
  isKnown = false;

  constructor(decayMs = 10_000) {
    this.#decayMs = decayMs;
  }

  observe(latencyMs: number, nowMs: number): void {
    if (!this.isKnown || latencyMs >= this.at(nowMs)) this.#valueMs = latencyMs;
    else {
      const kept = this.#keptSince(nowMs);
      this.#valueMs = this.#valueMs * kept + latencyMs * (1 - kept);
    }
    this.isKnown = true;
    this.#atMs = nowMs;
  }

  at(nowMs: number): number {
    return this.#valueMs * this.#keptSince(nowMs);
  }

  #keptSince(nowMs: number): number {
    return Math.exp(-Math.max(0, nowMs - this.#atMs) / this.#decayMs);
  }
}
