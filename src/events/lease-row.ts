import type { Database, DatabaseSession, Transaction } from "../database/index.ts";
import { sql } from "../database/index.ts";

/** The row of one lease, as one who wants it sees it. Every statement is whole by itself and goes by database time. */
export interface LeaseRow {
  /** Prolongs what `epoch` holds. False when it has expired, or another has it. Waits for no fenced transaction. */
  renew(on: Statements, epoch: string): Promise<boolean>;
  /** The new epoch, or how long the present holder still has. Never waits for a fenced transaction either. */
  take(on: Statements): Promise<{ readonly taken: string | undefined; readonly leftMs: number }>;
  release(on: Statements, epoch: string): Promise<void>;
  /** Whether `epoch` holds it; if so, nobody takes it before `tx` ends. */
  fence(tx: Transaction, epoch: string): Promise<boolean>;
}

type Statements = Pick<Database | DatabaseSession, "sql">;

export interface LeaseRowOptions {
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
}

export function readyLease({ schema, name, owner, ttlMs }: LeaseRowOptions): LeaseRow {
  const table = sql.id(schema, "plinth_leases");
  const expiry = sql`clock_timestamp() + ${ttlMs}::float8 * interval '1 ms'`;
  const mine = (epoch: string) =>
    sql`name = ${name} and owner = ${owner} and epoch = ${epoch}::text::bigint and expires_at > clock_timestamp()`;

  return {
    async renew(on, epoch) {
      const rows = await on.sql`update ${table} set expires_at = ${expiry} where ${mine(epoch)} returning 1 as one`;
      return rows.length > 0;
    },
    async take(on) {
      // A row that a fenced transaction holds is passed by: the effect of the old epoch comes first, or not at all.
      const [found] = await on.sql<{ taken: string | null; left: string }>`
        with free as (
          select name from ${table}
          where name = ${name} and (expires_at <= clock_timestamp() or owner = ${owner})
          for update skip locked
        ), taken as (
          update ${table} l set owner = ${owner}, epoch = l.epoch + 1, expires_at = ${expiry}
          from free where l.name = free.name returning l.epoch
        )
        select (select epoch::text from taken) as taken,
          (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8::text as left
        from ${table} where name = ${name}`;
      if (found) return { taken: found.taken ?? undefined, leftMs: Number(found.left) };
      const [first] = await on.sql<{ epoch: string }>`
        insert into ${table} (name, owner, epoch, expires_at) values (${name}, ${owner}, 1, ${expiry})
        on conflict do nothing returning epoch::text as epoch`;
      return { taken: first?.epoch, leftMs: 0 };
    },
    async release(on, epoch) {
      await on.sql`update ${table} set expires_at = clock_timestamp() where ${mine(epoch)}`;
    },
    async fence(tx, epoch) {
      const rows = await tx.sql`
        select set_config('idle_in_transaction_session_timeout', ${String(Math.ceil(ttlMs))}, true)
        from ${table} where ${mine(epoch)} for key share`;
      return rows.length > 0;
    },
  };
}
