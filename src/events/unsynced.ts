import type { Database, Fragment } from "../database/index.ts";
import { sql } from "../database/index.ts";

/**
 * True; and the transaction of the statement it stands in does not wait for the disk when it commits. It is planned as a
 * value of its own, so it is asked for once, whatever the statement finds.
 *
 * Not where the server is this very process: what is not written when the process is killed would be gone, and an event
 * that kills it would never have been counted.
 */
export function unsyncedOn({ flags }: Pick<Database, "flags">): Fragment {
  if (!flags.multipleProcesses) return sql`true`;
  return sql`(select set_config('synchronous_commit', 'off', true)) is not null`;
}
