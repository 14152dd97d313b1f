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
  /** What the value follows and is no growth: the wave of a day, a weekend. As many for each point. */
  readonly waves: readonly number[];
}

/**
 * Least squares. What follows the waves is taken out of the values and out of the time alike, so that a line that only looks
 * like a wave is no surer for it. Samples that follow each other are alike all the same, so the error of the slope is taken
 * wider by what neighbouring residuals have in common (an AR(1) correction: (1 + r) / (1 - r) times the variance).
 */
export function trendOf(points: readonly Point[]): Trend {
  const n = points.length;
  const waves = points[0]?.waves ?? [];
  const basis: Column[] = [points.map(() => 1)];
  for (const i of waves.keys())
    basis.push(
      without(
        points.map((point) => point.waves[i] ?? 0),
        basis,
      ),
    );
  const times = without(
    points.map(({ at }) => at),
    basis,
  );
  const values = without(
    points.map(({ value }) => value),
    basis,
  );
  const spread = product(times, times);
  const slope = product(times, values) / spread;
  const residuals = values.map((value, i) => value - slope * (times[i] ?? 0));
  const squares = product(residuals, residuals);
  const neighbours = product(residuals.slice(1), residuals);
  const likeness = squares === 0 ? 0 : Math.min(0.9, Math.max(0, neighbours / squares));
  const error = Math.sqrt((squares / (n - basis.length - 1) / spread) * ((1 + likeness) / (1 - likeness)));
  const length = (points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0);
  const student = 2;
  return {
    mean: points.reduce((sum, { value }) => sum + value, 0) / n,
    growth: slope * length,
    low: (slope - student * error) * length,
    high: (slope + student * error) * length,
  };
}

type Column = readonly number[];

/** What is left of a column that no sum of the others tells; those are at right angles to each other. */
function without(column: Column, others: readonly Column[]): Column {
  return others.reduce((rest, other) => {
    const squares = product(other, other);
    const share = squares === 0 ? 0 : product(rest, other) / squares;
    return rest.map((value, i) => value - share * (other[i] ?? 0));
  }, column);
}

function product(one: Column, other: Column): number {
  return one.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0);
}
