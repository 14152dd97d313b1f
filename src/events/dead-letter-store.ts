import { createHash } from "node:crypto";
import type { PlinthError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import type { Delivery } from "./driver.ts";
import { hashOf } from "./event.ts";
import type { MessageRow } from "./outbox.ts";
import { toMessage } from "./outbox.ts";

/** The table `plinth_dead_letters` as the consumer uses it: puts messages in, and takes those out that are to be replayed. */
export interface DeadLetterStore {
  /** Writes the message down, or what has become of it since; a replay that was asked for is over. */
  insert(tx: Transaction, dead: DeadMessage): Promise<void>;
  /** Takes the next one that a replay was asked for, counting the attempt, until the lease ends. */
  claimReplay(subscriptions: readonly string[], leaseMs: number): Promise<ClaimedReplay | undefined>;
  /** The replay succeeded. A late holder of the lease changes nothing, here and below. */
  remove(claimed: ClaimedReplay): Promise<void>;
  postpone(claimed: ClaimedReplay, delayMs: number, counted: boolean): Promise<void>;
}

export interface DeadMessage {
  readonly id: string;
  readonly subscription: string;
  readonly delivery: Delivery;
  readonly failure: PlinthError;
}

export interface ClaimedReplay {
  readonly id: string;
  readonly epoch: string;
  readonly subscription: string;
  readonly delivery: Delivery;
}

const messageLengthMax = 2000;

export function createDeadLetterStore(database: Database): DeadLetterStore {
  const table = sql.id(database.schema, "plinth_dead_letters");
  return {
    async insert(tx, { id, subscription, delivery, failure }) {
      const { message: m, attempt, firstFailedAt, replay } = delivery;
      const text = textOf(failure);
      await tx.sql`
        insert into ${table} as d (id, subscription, message_id, payload_hash, type, source, key, payload, at, traceparent,
          tracestate, sequence, error_code, error_reason, error_message, error_fingerprint, attempts, first_failed_at,
          again)
        values (${id}::text::uuid, ${subscription}, ${m.id}::text::uuid, ${delivery.payloadHash ?? hashOf(m)}, ${m.type}, ${m.source}, ${m.key},
          ${storable(m.payload)}, ${m.at}, ${m.traceparent ?? null}::text, ${m.tracestate ?? null}::text,
          ${m.sequence ?? null}::bigint, ${failure.code}, ${failure.reason}, ${text}, ${fingerprintOf(failure, text)},
          ${attempt}::int, coalesce(${firstFailedAt ?? null}::text::timestamptz, clock_timestamp()),
          ${replay?.again ? replay.id : null}::text::uuid)
        on conflict (subscription, message_id, payload_hash) do update set
          error_code = excluded.error_code, error_reason = excluded.error_reason, error_message = excluded.error_message,
          error_fingerprint = excluded.error_fingerprint, attempts = d.attempts + excluded.attempts, again = excluded.again,
          last_failed_at = clock_timestamp(), replay_at = null, replay_attempts = 0, claimed_until = null`;
    },
    async claimReplay(subscriptions, leaseMs) {
      const [row] = await database.sql<
        MessageRow & {
          dead_id: string;
          epoch: string;
          subscription: string;
          attempt: number;
          hash: string;
          again: string | null;
        }
      >`
        with candidate as (
          select id from ${table}
          where subscription = any(${subscriptions}::text[])
            and replay_at <= clock_timestamp() and (claimed_until is null or claimed_until < clock_timestamp())
          order by id limit 1 for update skip locked
        )
        update ${table} d set replay_attempts = d.replay_attempts + 1, epoch = d.epoch + 1,
          claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        from candidate c where d.id = c.id
        returning d.id::text as dead_id, d.epoch::text as epoch, d.subscription, d.replay_attempts as attempt,
          d.message_id::text as id, d.type, d.source, d.key, d.payload, d.at, d.traceparent, d.tracestate,
          d.sequence::text as sequence, d.payload_hash as hash,
          d.again::text as again`;
      if (!row) return undefined;
      const replay = row.again === null ? undefined : { id: row.again, again: true };
      const delivery = {
        message: toMessage(row),
        attempt: row.attempt,
        payloadHash: row.hash,
        replay,
        fromDeadLetter: true,
      };
      return { id: row.dead_id, epoch: row.epoch, subscription: row.subscription, delivery };
    },
    async remove({ id, epoch }) {
      await database.sql`delete from ${table} where id = ${id}::text::uuid and epoch = ${epoch}::text::bigint`;
    },
    async postpone({ id, epoch }, delayMs, counted) {
      await database.sql`
        update ${table} set replay_at = clock_timestamp() + ${delayMs}::float8 * interval '1 ms', claimed_until = null,
          replay_attempts = replay_attempts - ${counted ? 0 : 1}::int
        where id = ${id}::text::uuid and epoch = ${epoch}::text::bigint`;
    },
  };
}

/** For operators, so with the original message of a foreign error. */
function textOf({ message, cause }: PlinthError): string {
  const text = cause instanceof Error ? `${message} (${cause.name}: ${cause.message})` : message;
  return storable(text).slice(0, messageLengthMax);
}

/** NUL is no character for a database. */
function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd");
}

/** Failures that differ only in numbers and ids have the same fingerprint. */
function fingerprintOf({ code, reason }: PlinthError, text: string): string {
  const shape = text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/gi, "#").replace(/\d+/g, "#");
  return createHash("sha256").update(`${code} ${reason} ${shape}`).digest("hex").slice(0, 16);
}
