import { PlinthError } from "../base/index.ts";

/**
 * The reasons that this room raises. A failing engine is none of them: it makes a miss.
 *
 * - `CACHE_KEY_INVALID` (invalid_argument): a key or tag that is empty, too long, or no valid Unicode. Shorten the id.
 * - `CACHE_LIMIT` (internal): too many keys or tags at once. Split the list.
 * - `CACHE_TTL_INVALID` (internal): a time to live that is not between 1 ms and 30 days.
 * - `CACHE_VALUE_UNSAFE` (internal): a value that JSON would change. Cache plain data.
 * - `BULKHEAD_FULL` (resource_exhausted, from `resilience`): too many loads run. Raise `fillsMax`, or load faster.
 */
export function keyInvalid(what: "key" | "tag", problem: string): PlinthError {
  return new PlinthError("invalid_argument", `A cache ${what} ${problem}.`, {
    reason: "CACHE_KEY_INVALID",
    executed: "no",
  });
}

export function wrongUse(
  reason: "CACHE_LIMIT" | "CACHE_TTL_INVALID" | "CACHE_VALUE_UNSAFE",
  detail: string,
): PlinthError {
  return new PlinthError("internal", "Something went wrong on our side.", {
    reason,
    detail,
    cause: new TypeError(detail),
  });
}
