import type { Database, Transaction } from "../database/index.ts";
import { planByIndex, sql } from "../database/index.ts";

/**
 * The table `plinth_inbox` of one service: the ids whose effect is committed, for each subscription its own. A row is
 * written first in the transaction of the effect, and goes with it when that fails: an id is in here exactly when its
 * effect is.
 *
 * Of two processes that handle the same message at a time, the second waits at the row of the first, and finds it a
 * duplicate or free.
 */
export interface Inbox {
  /** False when the id is there: `look` tells whose it is. Asks in the same turn of the event loop. */
  insert(tx: Transaction, entry: InboxEntry): Promise<boolean>;
  /** What `insert` would meet, as far as it is committed. */
  look(on: Pick<Transaction, "sql">, entry: InboxEntry): Promise<Found>;
  /** What `look` would find for each, in one statement. */
  lookAll(on: Pick<Transaction, "sql">, entries: readonly InboxEntry[]): Promise<readonly Found[]>;
  /** Deletes up to `limit` rows older than `retentionMs`, by database time. Ids that are dead letters stay. */
  deleteOld(database: Database, retentionMs: number, limit: number): Promise<number>;
}

/** `duplicate`: the same message was handled before. `collision`: another message with the same id was. */
export type Found = "new" | "duplicate" | "collision";

export interface InboxEntry {
  readonly subscription: string;
  readonly messageId: string;
  readonly payloadHash: string;
}

export function createInbox(schema: string): Inbox {
  const table = sql.id(schema, "plinth_inbox");
  const deadLetters = sql.id(schema, "plinth_dead_letters");

  const lookAll: Inbox["lookAll"] = async (on, entries) => {
    const subscriptions = [...new Set(entries.map(({ subscription }) => subscription))];
    // What is asked for beside the pairs, an id of another subscription, is let go below.
    const rows = await on.sql<{ subscription: string; id: string; hash: string }>`
      select subscription, message_id::text as id, payload_hash as hash from ${table}
      where subscription = any(${subscriptions}::text[])
        and message_id = any(${entries.map(({ messageId }) => messageId)}::uuid[]) ${planByIndex}`;
    const hashes = new Map(rows.map(({ subscription, id, hash }) => [`${id} ${subscription}`, hash]));
    return entries.map(({ subscription, messageId, payloadHash }) => {
      const hash = hashes.get(`${messageId.toLowerCase()} ${subscription}`);
      if (hash === undefined) return "new";
      return hash === payloadHash ? "duplicate" : "collision";
    });
  };
  const look: Inbox["look"] = async (on, entry) => (await lookAll(on, [entry]))[0] ?? "new";

  return {
    async insert(tx, entry) {
      const inserted = await tx.sql`
        insert into ${table} (subscription, message_id, payload_hash)
        values (${entry.subscription}, ${entry.messageId}::text::uuid, ${entry.payloadHash})
        on conflict do nothing returning 1 as one`;
      return inserted.length > 0;
    },
    look,
    lookAll,
    async deleteOld(database, retentionMs, limit) {
      const rows = await database.sql`
        delete from ${table} where ctid in (
          select i.ctid from ${table} i
          where i.at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms'
            and not exists (
              select 1 from ${deadLetters} d where d.subscription = i.subscription and d.message_id = i.message_id
            )
          limit ${limit}::int for update of i skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}
