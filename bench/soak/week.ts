const days = 7;

/** A week in so many seconds: how much is asked for at a moment of it, beside the average. */
export function loadAt(second: number, seconds: number): number {
  const day = (second / seconds) * days;
  const hour = (day % 1) * 24;
  // Least at four in the morning, most at four in the afternoon.
  const wave = 1 - 0.8 * Math.cos(((hour - 4) / 24) * 2 * Math.PI);
  const isWeekend = day >= 5;
  // Somebody sends a newsletter at noon.
  const isBurst = hour >= 12 && hour < 12.5;
  return wave * (isWeekend ? 0.5 : 1.2) * (isBurst ? 3 : 1);
}

/** Which night this is: at each the clients are started anew. */
export function nightOf(second: number, seconds: number): number {
  return Math.floor((second / seconds) * days + 20 / 24);
}
