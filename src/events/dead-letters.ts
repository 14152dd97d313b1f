import { error } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { EventMessage } from "./event.ts";
import { createInbox } from "./inbox.ts";
import type { MessageRow } from "./outbox.ts";
import { toMessage } from "./outbox.ts";

/**
 * The messages that a service gave up on, kept in its own schema until somebody decides. What an operator does with
 * them; how they get here is in `dead-letter-store.ts`, how a replay runs in `replay.ts`.
 *
 * Nothing here ever deletes a dead letter but `discard` and a replay that succeeded.
 */
export interface DeadLetters {
  /** Oldest first. `next` is there when there are more: give it as `after`. */
  list(filter?: DeadLetterFilter): Promise<{ readonly items: readonly DeadLetterSummary[]; readonly next?: string }>;
  show(id: string): Promise<DeadLetter | undefined>;
  /** Counted up to 100,000; that number means "or more". */
  count(filter?: Pick<DeadLetterFilter, "subscription" | "type">): Promise<number>;
  /**
   * Asks the service's consumers to handle them again, wherever they run: under the same id, with the attempts counted
   * anew. Answers how many it asked for. One that collides with another message's id is refused with EVENT_ID_COLLISION.
   */
  replay(ids: readonly string[]): Promise<number>;
  /** Gives it up for good: the message counts as handled, and does not run even when the broker brings it again. */
  discard(ids: readonly string[]): Promise<number>;
}

export interface DeadLetterFilter {
  readonly subscription?: string;
  readonly type?: string;
  readonly after?: string;
  /** 1 to 1,000. Default 100. */
  readonly limit?: number;
}

export interface DeadLetterSummary {
  /** Of the dead letter; `message.id` is the event's. */
  readonly id: string;
  readonly subscription: string;
  readonly messageId: string;
  readonly type: string;
  readonly key: string;
  readonly error: {
    readonly code: string;
    readonly reason: string;
    readonly message: string;
    readonly fingerprint: string;
  };
  readonly attempts: number;
  readonly firstFailedAt: string;
  readonly lastFailedAt: string;
  /** A replay was asked for, and is not over. */
  readonly replaying: boolean;
}

export interface DeadLetter extends DeadLetterSummary {
  readonly message: EventMessage;
}

export interface DeadLettersOptions {
  /** False for a schema without `plinth_inbox`: the broker's, which keeps the letters of services without a database. */
  readonly inbox?: boolean;
}

type Row = MessageRow & {
  readonly dead_id: string;
  readonly subscription: string;
  readonly error_code: string;
  readonly error_reason: string;
  readonly error_message: string;
  readonly error_fingerprint: string;
  readonly attempts: number;
  readonly first_failed_at: string;
  readonly last_failed_at: string;
  readonly replaying: boolean;
  readonly payload_hash: string;
};

const limitMax = 1000;
const countMax = 100_000;

export function deadLetters(database: Database, { inbox: hasInbox = true }: DeadLettersOptions = {}): DeadLetters {
  const table = sql.id(database.schema, "plinth_dead_letters");
  const inbox = hasInbox ? createInbox(database.schema) : undefined;
  const columns = sql`
    id::text as dead_id, subscription, message_id::text as id, payload_hash, type, source, key, at, traceparent, tracestate,
    error_code, error_reason, error_message, error_fingerprint, attempts,
    first_failed_at, last_failed_at, replay_at is not null as replaying`;
  const matches = ({ subscription, type }: DeadLetterFilter) => sql`
    (${subscription ?? null}::text is null or subscription = ${subscription ?? null}::text)
    and (${type ?? null}::text is null or type = ${type ?? null}::text)`;

  return {
    async list(filter = {}) {
      const limit = Math.min(Math.max(1, Math.trunc(filter.limit ?? 100)), limitMax);
      const rows = await database.sql<Row>`
        select ${columns}, '' as payload from ${table}
        where ${matches(filter)} and (${filter.after ?? null}::text is null or id > ${filter.after ?? null}::text::uuid)
        order by id limit ${limit + 1}::int`;
      const items = rows.slice(0, limit).map(toSummary);
      const last = rows.length > limit ? items.at(-1) : undefined;
      return { items, ...(last && { next: last.id }) };
    },
    async show(id) {
      if (!isId(id)) return undefined;
      const [row] = await database.sql<Row>`
        select ${columns}, payload from ${table} where id = ${id}::text::uuid`;
      return row && { ...toSummary(row), message: toMessage(row) };
    },
    async count(filter = {}) {
      const [row] = await database.sql<{ count: string }>`
        select count(*)::text as count from (select 1 from ${table} where ${matches(filter)} limit ${countMax}::int) dead`;
      return Number(row?.count ?? 0);
    },
    async replay(ids) {
      const wanted = ids.filter(isId);
      const [collision] = await database.sql<{ id: string }>`
        select id::text as id from ${table} where error_reason = ${collisionReason}
          and id = any(${wanted}::uuid[]) limit 1`;
      if (collision) throw collided(collision.id);
      const rows = await database.sql`
        update ${table} set replay_at = clock_timestamp(), replay_attempts = 0, claimed_until = null
        where replay_at is null and id = any(${wanted}::uuid[]) returning 1 as one`;
      return rows.length;
    },
    async discard(ids) {
      const wanted = ids.filter(isId);
      return database.transaction(async (tx) => {
        const rows = await tx.sql<{ subscription: string; id: string; hash: string }>`
          delete from ${table} where id = any(${wanted}::uuid[])
          returning subscription, message_id::text as id, payload_hash as hash`;
        for (const { subscription, id, hash } of rows) {
          await inbox?.insert(tx, { subscription, messageId: id, payloadHash: hash });
        }
        return rows.length;
      });
    },
  };
}

export const collisionReason = "EVENT_ID_COLLISION";

function isId(id: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
}

function toSummary(row: Row): DeadLetterSummary {
  return {
    id: row.dead_id,
    subscription: row.subscription,
    messageId: row.id,
    type: row.type,
    key: row.key,
    error: {
      code: row.error_code,
      reason: row.error_reason,
      message: row.error_message,
      fingerprint: row.error_fingerprint,
    },
    attempts: row.attempts,
    firstFailedAt: row.first_failed_at,
    lastFailedAt: row.last_failed_at,
    replaying: row.replaying,
  };
}

function collided(id: string): Error {
  return error(
    "already_exists",
    `Dead letter ${id} has the id of another message, which was handled: discard it, and have it published anew.`,
    {
      reason: "EVENT_ID_COLLISION",
      executed: "no",
    },
  );
}
