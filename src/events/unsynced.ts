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

/**
 * As `unsyncedOn`, but the commit waits for the disk when `where` holds, and in the first minute after the server came up.
 * An event that kills the server takes its own unwritten claim with it: the next claim is written, and counts.
 *
 * A server that starts over after the death of one of its processes is the same postmaster: its statistics begin anew.
 */
export function unsyncedUnless({ flags }: Pick<Database, "flags">, where: Fragment): Fragment {
  if (!flags.multipleProcesses) return sql`true`;
  return sql`(select case when ${where}
      or greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()) > statement_timestamp() - interval '1 min'
    then true else set_config('synchronous_commit', 'off', true) is not null end)`;
}
