import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { Broker } from "./driver.ts";
import type { MessageRow } from "./outbox.ts";
import { toMessage } from "./outbox.ts";

/**
 * The wrong relay, kept to prove that the checks find it: it remembers the last `seq` it read, and reads what came
 * after. A transaction that drew a smaller number and commits later is skipped for ever.
 */
export function createCursor(database: Database, broker: Broker, source: string): () => Promise<number> {
  const table = sql.id(database.schema, "plinth_outbox");
  let last = "0";
  return async () => {
    const rows = await database.sql<MessageRow & { seq: string }>`
      select seq::text as seq, id::text as id, type, ${source}::text as source, key, payload::text as payload, at,
        traceparent, tracestate, sequence::text as sequence
      from ${table} where seq > ${last}::text::bigint order by seq limit 100`;
    if (rows.length === 0) return 0;
    await broker.publish(rows.map(toMessage));
    last = rows.at(-1)?.seq ?? last;
    await database.sql`
      update ${table} set published_at = clock_timestamp() where seq = any(${rows.map(({ seq }) => seq)}::bigint[])`;
    return rows.length;
  };
}
