import { createHash } from "node:crypto";
import type { Database, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";
import { isoText } from "./iso-text.ts";

/**
 * Who did what to events, and why: a row for each action of an operator, written in the transaction of the action, by
 * the database's time. Kept for 400 days.
 */
export interface AuditEntry {
  /** Grows with time. */
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: AuditAction;
  readonly subscription: string;
  /** The dead letter, where it was one. */
  readonly deadLetter?: string;
  readonly messageId?: string;
  /** Of the payload: the first 16 digits of its SHA-256. `after` is absent where nothing is left. */
  readonly before?: string;
  readonly after?: string;
  readonly reason?: string;
  readonly detail?: string;
}

export type AuditAction =
  | "dead letter replayed"
  | "dead letter edited"
  | "dead letter discarded"
  | "subscription replayed"
  | "subscription retired";

/** Who asks for an action, and why. */
export interface AuditBy {
  readonly actor: string;
  readonly reason?: string | undefined;
}

export interface AuditFilter {
  readonly deadLetter?: string;
  readonly subscription?: string;
  /** 1 to 10,000, the newest. Default 100. */
  readonly limit?: number;
}

export interface AuditLog {
  write(on: Pick<Transaction, "sql">, by: AuditBy, entries: readonly NewAuditEntry[]): Promise<void>;
  /** Newest first. */
  list(filter?: AuditFilter): Promise<readonly AuditEntry[]>;
  deleteOld(limit: number): Promise<number>;
}

export type NewAuditEntry = Omit<AuditEntry, "id" | "at" | "actor" | "reason">;

const daysKept = 400;
const limitMax = 10_000;
const textLengthMax = 2000;

export function createAuditLog(database: Database): AuditLog {
  const table = sql.id(database.schema, "plinth_event_audit");
  return {
    async write(on, { actor, reason }, entries) {
      if (entries.length === 0) return;
      const rows = entries.map((entry) => ({ ...entry, detail: entry.detail?.slice(0, textLengthMax) }));
      await on.sql`
        insert into ${table} (actor, action, subscription, dead_letter, message_id, before_fingerprint, after_fingerprint,
          reason, detail)
        select ${actor.slice(0, 200)}, action, subscription, "deadLetter", "messageId", before, after,
          ${reason?.slice(0, textLengthMax) ?? null}::text, detail
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as r(action text, subscription text, "deadLetter" uuid,
          "messageId" uuid, before text, after text, detail text)`;
    },
    async list(filter = {}) {
      const limit = Math.min(Math.max(1, Math.trunc(filter.limit ?? 100)), limitMax);
      const rows = await database.sql<Record<keyof AuditEntry, string | null>>`
        select id::text as id, ${isoText(sql`at`)} as at, actor, action, subscription, dead_letter::text as "deadLetter",
          message_id::text as "messageId", before_fingerprint as before, after_fingerprint as after, reason, detail
        from ${table}
        where (${filter.deadLetter ?? null}::text is null or dead_letter::text = ${filter.deadLetter ?? null}::text)
          and (${filter.subscription ?? null}::text is null or subscription = ${filter.subscription ?? null}::text)
        order by plinth_event_audit.id desc limit ${limit}::int`;
      return rows.map(
        (row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown as AuditEntry,
      );
    },
    async deleteOld(limit) {
      const rows = await database.sql`
        delete from ${table} where id in (
          select id from ${table} where at < clock_timestamp() - ${daysKept}::int * interval '1 day'
          limit ${limit}::int for update skip locked
        ) returning 1 as one`;
      return rows.length;
    },
  };
}

export function fingerprintOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
