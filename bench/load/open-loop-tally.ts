import { Histogram } from "./histogram.ts";

/** What became of the requests of one name. */
export interface RouteReport {
  readonly sent: number;
  /** 2xx within `goodMs`. */
  readonly good: number;
  /** 2xx later than that. */
  readonly late: number;
  /** Answers by status, 2xx among them. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly timeouts: number;
  /** Connections that broke before the answer. */
  readonly broken: number;
  /** Of 2xx. */
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** Of everything else that was answered: how fast is a refusal? */
  readonly refusedP99Ms: number;
}

type Four = [number, number, number, number];

export class Tally {
  readonly served = new Histogram();
  readonly refused = new Histogram();
  readonly statuses: Record<string, number> = {};
  sent = 0;
  good = 0;
  late = 0;
  timeouts = 0;
  broken = 0;

  /** True when it was good. */
  note(status: number, tookMs: number, goodMs: number): boolean {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    const isServed = status >= 200 && status < 300;
    (isServed ? this.served : this.refused).add(tookMs);
    if (!isServed) return false;
    if (tookMs > goodMs) this.late++;
    else this.good++;
    return tookMs <= goodMs;
  }

  toReport(): RouteReport {
    const { sent, good, late, statuses, timeouts, broken, served, refused } = this;
    const [p50Ms, p90Ms, p99Ms, p999Ms] = [0.5, 0.9, 0.99, 0.999].map((share) => served.at(share)) as Four;
    const times = { p50Ms, p90Ms, p99Ms, p999Ms, maxMs: served.maxMs };
    return { sent, good, late, statuses, timeouts, broken, ...times, refusedP99Ms: refused.at(0.99) };
  }
}
