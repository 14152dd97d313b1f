import { error } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { AuditAction, AuditBy, AuditEntry, AuditFilter, NewAuditEntry } from "./audit.ts";
import { createAuditLog, fingerprintOf } from "./audit.ts";
import type { EventMessage, EventType } from "./event.ts";
import { payloadBytesMax } from "./event.ts";
import { createInbox } from "./inbox.ts";
import { isoText } from "./iso-text.ts";
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
  replay(ids: readonly string[], by?: AuditBy): Promise<number>;
  /** Gives it up for good: the message counts as handled, and does not run even when the broker brings it again. */
  discard(ids: readonly string[], by?: AuditBy): Promise<number>;
  /**
   * Gives it another payload, as JSON text: the event stays the same one under the same id. What was announced is kept.
   * Checked against `schema` where one is given: EVENT_PAYLOAD_INCOMPATIBLE. The key cannot change: EVENT_KEY_CHANGED.
   * Not while it is replayed: DEAD_LETTER_BUSY. False when there is no such dead letter.
   */
  edit(id: string, payload: string, options?: EditOptions): Promise<boolean>;
  /** What was done to the dead letters here, newest first. */
  audit(filter?: AuditFilter): Promise<readonly AuditEntry[]>;
}

export interface EditOptions {
  readonly by?: AuditBy;
  readonly type?: Pick<EventType, "payload" | "keyOf">;
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
  /** What was announced, where somebody changed it. */
  readonly originalPayload?: string;
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
  readonly original_payload: string | null;
};

const limitMax = 1000;
const countMax = 100_000;

export function deadLetters(database: Database, { inbox: hasInbox = true }: DeadLettersOptions = {}): DeadLetters {
  const table = sql.id(database.schema, "plinth_dead_letters");
  const audit = createAuditLog(database);
  const inbox = hasInbox ? createInbox(database.schema) : undefined;
  const columns = sql`
    id::text as dead_id, subscription, message_id::text as id, payload_hash, type, source, key, at, traceparent, tracestate,
    sequence::text as sequence, original_payload, error_code, error_reason, error_message, error_fingerprint, attempts,
    ${isoText(sql`first_failed_at`)} as first_failed_at, ${isoText(sql`last_failed_at`)} as last_failed_at, replay_at is not null as replaying`;
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
      if (!row) return undefined;
      const { original_payload: original } = row;
      return { ...toSummary(row), message: toMessage(row), ...(original !== null && { originalPayload: original }) };
    },
    async count(filter = {}) {
      const [row] = await database.sql<{ count: string }>`
        select count(*)::text as count from (select 1 from ${table} where ${matches(filter)} limit ${countMax}::int) dead`;
      return Number(row?.count ?? 0);
    },
    async replay(ids, by = nobody) {
      const wanted = ids.filter(isId);
      return database.transaction(async (tx) => {
        const [collision] = await tx.sql<{ id: string }>`
          select id::text as id from ${table} where error_reason = ${collisionReason}
            and id = any(${wanted}::uuid[]) limit 1`;
        if (collision) throw collided(collision.id);
        const rows = await tx.sql<Acted>`
          update ${table} set replay_at = clock_timestamp(), replay_attempts = 0, claimed_until = null
          where replay_at is null and id = any(${wanted}::uuid[]) returning ${acted}`;
        const entries = rows.map((row) => ({
          ...entryOf("dead letter replayed", row),
          after: fingerprintOf(row.payload),
        }));
        await audit.write(tx, by, entries);
        return rows.length;
      });
    },
    async discard(ids, by = nobody) {
      const wanted = ids.filter(isId);
      return database.transaction(async (tx) => {
        const rows = await tx.sql<Acted>`delete from ${table} where id = any(${wanted}::uuid[]) returning ${acted}`;
        for (const { subscription, messageId, hash } of rows) {
          await inbox?.insert(tx, { subscription, messageId, payloadHash: hash });
        }
        await audit.write(
          tx,
          by,
          rows.map((row) => entryOf("dead letter discarded", row)),
        );
        return rows.length;
      });
    },
    async edit(id, payload, { by = nobody, type } = {}) {
      if (!isId(id)) return false;
      return database.transaction(async (tx) => {
        const [row] = await tx.sql<Acted & { key: string; replaying: boolean }>`
          select ${acted}, key, replay_at is not null as replaying from ${table} where id = ${id}::text::uuid for update`;
        if (!row) return false;
        if (row.replaying) throw busy(id);
        const text = checkPayload(payload, row.key, type);
        await tx.sql`
          update ${table} set original_payload = coalesce(original_payload, payload), payload = ${text}
          where id = ${id}::text::uuid`;
        await audit.write(tx, by, [{ ...entryOf("dead letter edited", row), after: fingerprintOf(text) }]);
        return true;
      });
    },
    audit: (filter) => audit.list(filter),
  };
}

/** Where a program asked and did not say who it is. */
const nobody: AuditBy = { actor: "a program" };

interface Acted {
  readonly id: string;
  readonly subscription: string;
  readonly messageId: string;
  readonly hash: string;
  readonly payload: string;
}

const acted = sql`id::text as id, subscription, message_id::text as "messageId", payload_hash as hash, payload`;

function entryOf(action: AuditAction, { id, subscription, messageId, payload }: Acted): NewAuditEntry {
  return { action, subscription, deadLetter: id, messageId, before: fingerprintOf(payload) };
}

/** The payload as it will be kept: what the schema makes of it, where there is one. */
function checkPayload(payload: string, key: string, type: EditOptions["type"]): string {
  const unusable = (detail: string, cause?: unknown) =>
    error("invalid_argument", "This payload would not be understood.", {
      reason: "EVENT_PAYLOAD_INCOMPATIBLE",
      executed: "no",
      detail,
      cause,
    });
  if (Buffer.byteLength(payload) > payloadBytesMax) throw unusable(`it has more than ${payloadBytesMax} bytes`);
  if (payload.includes("\0")) throw unusable("it holds a NUL character");
  let value: unknown;
  let checked: unknown;
  try {
    value = JSON.parse(payload);
    checked = type ? type.payload.parse(value) : value;
  } catch (thrown) {
    throw unusable(thrown instanceof Error ? thrown.message : String(thrown), thrown);
  }
  const given = type?.payload.native ? checked : value;
  if (type && type.keyOf(given) !== key) {
    throw error("invalid_argument", `The key of an event cannot change: it is ${JSON.stringify(key)}.`, {
      reason: "EVENT_KEY_CHANGED",
      executed: "no",
    });
  }
  return type?.payload.native ? type.payload.stringify(checked) : payload;
}

function busy(id: string): Error {
  return error("aborted", `Dead letter ${id} is being replayed: change it when that is over.`, {
    reason: "DEAD_LETTER_BUSY",
    executed: "no",
  });
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
