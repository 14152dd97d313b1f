/**
 * How many requests a process works on at a time, learned from how long they take: a limit that sinks when they become
 * slower because there are too many of them, and rises again while they do not.
 *
 * Gradient2 of Netflix's concurrency-limits: each second with at least 10 samples, the limit moves towards
 * `limit × gradient + 4`, by a fifth of the way; the gradient is 1.5 × the long average of durations (600 windows) over
 * that of the second, between 0.5 and 1. It differs where a process that serves many kinds of requests would be misled:
 *
 * - Each kind has averages of its own, and the median over all requests counts: a dependency that makes a few kinds slow
 *   is the business of its breaker and its bulkhead, and a change in the mix is no slowness. An average leaves out the
 *   quickest and the slowest quarter.
 * - What is slower by less than 20 ms is not slow (DAGOR's mark for overload).
 * - It begins at its maximum, and sinks from what was really in flight: nobody is refused before there is a reason.
 * - It rises by a tenth each second while at least half of it is used, at least by 0.8.
 */
export interface AdaptiveLimit {
  readonly limit: number;
  /** Notes one request of a kind. */
  note(lane: Lane, durationMs: number): void;
  /** Closes the window when it is time. True when the limit has moved. `peak`: the most in flight at a time within it. */
  advance(nowMs: number, peak: number): boolean;
  /** Whether a window would close now. */
  isDue(nowMs: number): boolean;
}

export interface AdaptiveLimitOptions {
  /** Never above, and at first. */
  readonly max: number;
  /** Never below. Default 20: so few at a time are no overload, whatever they wait for. */
  readonly min?: number;
}

/** Requests of one kind: one route, one method. */
export interface Lane {
  /** The last durations of the window. */
  readonly recentMs: Float64Array;
  count: number;
  /** The long average. */
  longMs: number;
  windowCount: number;
}

export function createLane(): Lane {
  return { recentMs: new Float64Array(recentMax), count: 0, longMs: 0, windowCount: 0 };
}

const windowMs = 1_000;
const samplesMin = 10;
/** So many durations of a kind are looked at in a window, the last ones. */
const recentMax = 128;
const smoothing = 0.2;
const queueAllowance = 4;
const longWindows = 600;
const warmUpWindows = 10;
const tolerance = 1.5;
const gradientMin = 0.5;
const slowerMsMin = 20;

export function createAdaptiveLimit({ max, min = 20 }: AdaptiveLimitOptions): AdaptiveLimit {
  let limit = max;
  let windowEndsAt = 0;
  let samples = 0;
  let active: Lane[] = [];

  const close = (): number => {
    const slowness = medianSlowness(active, samples);
    for (const lane of active) closeLane(lane);
    active = [];
    samples = 0;
    return slowness;
  };

  return {
    get limit() {
      return limit;
    },
    note(lane, durationMs) {
      if (lane.count === 0) active.push(lane);
      lane.recentMs[lane.count++ % recentMax] = durationMs;
      samples++;
    },
    isDue: (nowMs) => nowMs >= windowEndsAt && samples >= samplesMin,
    advance(nowMs, peak) {
      windowEndsAt = nowMs + windowMs;
      const gradient = Math.max(gradientMin, Math.min(1, tolerance / close()));
      const before = limit;
      if (gradient < 1) {
        const from = Math.min(limit, Math.max(peak, min));
        limit = Math.max(min, from + smoothing * (from * gradient + queueAllowance - from));
      } else if (peak >= limit / 2) {
        limit = Math.min(max, limit + smoothing * Math.max(queueAllowance, limit / 2));
      }
      return limit !== before;
    },
  };
}

/** How many times slower than usual half of the requests were, at least. */
function medianSlowness(lanes: readonly Lane[], samples: number): number {
  if (lanes.length === 1) return slownessOf(lanes[0] as Lane);
  let seen = 0;
  for (const lane of [...lanes].sort((a, b) => slownessOf(a) - slownessOf(b))) {
    seen += lane.count;
    if (seen * 2 >= samples) return slownessOf(lane);
  }
  return 1;
}

function slownessOf(lane: Lane): number {
  const { longMs, windowCount } = lane;
  const meanMs = middleMean(lane);
  return windowCount === 0 || meanMs - longMs < slowerMsMin ? 1 : meanMs / longMs;
}

/** The mean without the quickest and the slowest quarter: a few that take for ever say nothing of the others. */
function middleMean({ recentMs, count }: Lane): number {
  const sorted = recentMs.slice(0, Math.min(count, recentMax)).sort();
  const cut = Math.floor(sorted.length / 4);
  const middle = sorted.subarray(cut, sorted.length - cut);
  return middle.reduce((sum, ms) => sum + ms, 0) / middle.length;
}

function closeLane(lane: Lane): void {
  const meanMs = middleMean(lane);
  lane.windowCount++;
  if (lane.windowCount <= warmUpWindows) lane.longMs += (meanMs - lane.longMs) / lane.windowCount;
  else {
    lane.longMs += ((meanMs - lane.longMs) * 2) / (longWindows + 1);
    // What was learned in a bad time is forgotten sooner.
    if (lane.longMs > 2 * meanMs) lane.longMs *= 0.9;
  }
  lane.count = 0;
}
