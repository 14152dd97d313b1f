import { monitorEventLoopDelay } from "node:perf_hooks";

/** How late the event loop was on average since it was last asked, in milliseconds. */
export interface LoopDelay {
  (): number;
  stop?(): void;
}

const resolutionMs = 10;

/** Measured by Node outside of JavaScript: it costs a wake-up each 10 ms, also while nothing happens. */
export function createLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  const read = (): number => {
    // Nanoseconds between two looks, the planned pause among them. NaN when there was none.
    const meanMs = histogram.mean / 1e6 - resolutionMs;
    histogram.reset();
    return Number.isNaN(meanMs) ? 0 : Math.max(meanMs, 0);
  };
  return Object.assign(read, { stop: () => void histogram.disable() });
}
