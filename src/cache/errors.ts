import { PlinthError } from "../base/index.ts";

/**
 * The reasons that this room raises. A failing engine is none of them: it makes a miss.
 *
 * - `CACHE_KEY_INVALID` (invalid_argument): a key or tag that is empty, too long, or no valid Unicode. Shorten the id.
 * - `CACHE_FILLS_LIMITED` (resource_exhausted): more entries are missing than may be loaded in a second, as after the
 *   whole cache was lost. Repeat a little later, or raise `fillsPerSecondMax`.
 * - `CACHE_LIMIT` (internal): too many keys or tags at once. Split the list.
 * - `CACHE_TTL_INVALID` (internal): a time to live that is not between 1 ms and 30 days.
 * - `CACHE_VERSION_INVALID` (internal): a version that is no whole number from 0 to 2^53 - 1.
 * - `CACHE_VALUE_UNSAFE` (internal): a value that JSON would change. Cache plain data.
 * - `BULKHEAD_FULL` (resource_exhausted, from `resilience`): too many loads run. Raise `fillsMax`, or load faster.
 */
export function keyInvalid(what: "key" | "tag", problem: string): PlinthError {
  return new PlinthError("invalid_argument", `A cache ${what} ${problem}.`, {
    reason: "CACHE_KEY_INVALID",
    executed: "no",
  });
}

export function fillsLimited(): PlinthError {
  return new PlinthError("resource_exhausted", "Too much has to be loaded anew at the moment.", {
    reason: "CACHE_FILLS_LIMITED",
    retry: 1000,
    executed: "no",
  });
}

export function wrongUse(
  reason: "CACHE_LIMIT" | "CACHE_TTL_INVALID" | "CACHE_VALUE_UNSAFE" | "CACHE_VERSION_INVALID",
  detail: string,
): PlinthError {
  return new PlinthError("internal", "Something went wrong on our side.", {
    reason,
    detail,
    cause: new TypeError(detail),
  });
}
