/** Whether something grows: a straight line through samples, and how sure its slope is. */
export interface Trend {
  readonly mean: number;
  /** From the first of the samples to the last, along the line. */
  readonly growth: number;
  /** The ends of the interval in which that growth lies with 95 %. */
  readonly low: number;
  readonly high: number;
}

export interface Point {
  readonly at: number;
  readonly value: number;
}

/**
 * Least squares. Samples that follow each other are alike, a day is a wave, so the error of the slope is taken wider by what
 * neighbouring residuals have in common (an AR(1) correction: (1 + r) / (1 - r) times the variance).
 */
export function trendOf(points: readonly Point[]): Trend {
  const n = points.length;
  const mean = (of: (point: Point) => number) => points.reduce((sum, point) => sum + of(point), 0) / n;
  const meanAt = mean(({ at }) => at);
  const meanValue = mean(({ value }) => value);
  const spread = points.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0);
  const slope = points.reduce((sum, { at, value }) => sum + (at - meanAt) * (value - meanValue), 0) / spread;
  const residuals = points.map(({ at, value }) => value - meanValue - slope * (at - meanAt));
  const squares = residuals.reduce((sum, each) => sum + each ** 2, 0);
  const neighbours = residuals.reduce((sum, each, i) => sum + each * (residuals[i - 1] ?? 0), 0);
  const likeness = squares === 0 ? 0 : Math.min(0.9, Math.max(0, neighbours / squares));
  const error = Math.sqrt((squares / (n - 2) / spread) * ((1 + likeness) / (1 - likeness)));
  const length = (points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0);
  const student = 2;
  return {
    mean: meanValue,
    growth: slope * length,
    low: (slope - student * error) * length,
    high: (slope + student * error) * length,
  };
}
