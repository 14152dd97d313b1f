/**
 * A number as text that is another one in each answer.
 *
 * V8 keeps the text of each number that it wrote, in a table of its old generation, for the number to come again. What
 * counts down never does: its text outlives its request, is copied twice by the collector, and then waits for a collection
 * of everything. Thousands do come again, so the number is put together from those.
 */
export function digitsOf(count: number): string {
  if (!(count >= 1000 && Number.isSafeInteger(count))) return String(count);
  return digitsOf(Math.floor(count / 1000)) + thousands[count % 1000];
}

const thousands: readonly string[] = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, "0"));
