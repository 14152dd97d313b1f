import { sql } from "./sql.ts";

/**
 * A mark for statements on tables that are empty now and hold millions in a minute: whoever keeps plans makes that of a
 * marked statement anew each time, by the size of its tables and the values at hand. It stands anywhere in the text.
 */
export const planEachTime = sql.unsafe("/* plan each time */");

export function isPlannedEachTime(text: string): boolean {
  return text.includes("/* plan each time */");
}
