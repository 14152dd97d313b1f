import { sql } from "../database/index.ts";

/**
 * True; and the transaction of the statement it stands in does not wait for the disk when it commits. It is planned as a
 * value of its own, so it is asked for once, whatever the statement finds.
 */
export const unsynced = sql`(select set_config('synchronous_commit', 'off', true)) is not null`;
