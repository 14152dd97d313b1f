import { sql } from "./sql.ts";

/**
 * A mark for statements whose plan hangs on the values at hand: whoever keeps plans makes that of a marked statement anew
 * each time, by the size of its tables and the values. It stands anywhere in the text.
 */
export const planEachTime = sql.unsafe("/* plan each time */");

export function isPlannedEachTime(text: string): boolean {
  return text.includes("/* plan each time */");
}

/**
 * A mark for statements on tables that are empty now and hold millions in a minute, each part of which finds its few rows
 * by an index: whoever keeps plans makes theirs once, of indexes and nested loops alone, whatever the tables hold. In a
 * transaction it means nothing.
 */
export const planByIndex = sql.unsafe("/* plan by index */");

export function isPlannedByIndex(text: string): boolean {
  return text.includes("/* plan by index */");
}
