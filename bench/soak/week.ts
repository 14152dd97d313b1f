const days = 7;

/** A week in so many seconds: how much is asked for at a moment of it, beside the average. */
export function loadAt(second: number, seconds: number): number {
  const day = (second / seconds) * days;
  const hour = (day % 1) * 24;
  // Least at four in the morning, most at four in the afternoon.
  const wave = 1 - 0.8 * Math.cos(((hour - 4) / 24) * 2 * Math.PI);
  // Somebody sends a newsletter at noon.
  const isBurst = hour >= 12 && hour < 12.5;
  return wave * levelOf(day) * (isBurst ? 3 : 1);
}

/**
 * What memory follows of the load, and is no growth: the wave of a day, and how high it goes. Two columns for the wave, since
 * memory is behind the load.
 */
export function wavesAt(second: number, seconds: number): readonly number[] {
  const day = (second / seconds) * days;
  const level = levelOf(day);
  return [level, level * Math.sin(day * 2 * Math.PI), level * Math.cos(day * 2 * Math.PI)];
}

/** The week begins on a Tuesday: with its weekend at the end, the second half would end with less than it began with. */
function levelOf(day: number): number {
  const isWeekend = day >= 4 && day < 6;
  return isWeekend ? 0.5 : 1.2;
}

/** Which night this is: at each the clients are started anew. */
export function nightOf(second: number, seconds: number): number {
  return Math.floor((second / seconds) * days + 20 / 24);
}
