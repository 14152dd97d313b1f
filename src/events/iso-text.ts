import type { Fragment } from "../database/index.ts";
import { sql } from "../database/index.ts";

/** A point in time as ISO 8601 in UTC, to the millisecond, whatever the session's time zone is. */
export function isoText(time: Fragment): Fragment {
  return sql`to_char(${time} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
