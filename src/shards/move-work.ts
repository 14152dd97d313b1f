import type { Clock, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Database, Fragment, Transaction } from "../database/index.ts";
import { quoteName, sql } from "../database/index.ts";
import type { MoveCrashPoint } from "./move-crash-points.ts";
import type { Move } from "./move-store.ts";
import { takenOver } from "./move-store.ts";
import type { Column, ShardedTable } from "./sharded-table.ts";
import { nameFor, qualified } from "./sharded-table.ts";

/** What the steps of one move work with. */
export interface MoveWork {
  readonly move: Move;
  readonly source: Database;
  readonly target: Database;
  /** Parents before children. */
  readonly tables: readonly ShardedTable[];
  readonly clock: Clock;
  readonly crashPoint: MoveCrashPoint;
  /** Rows read and written at a time. */
  readonly batchRows: number;
  /** Called between batches: keeps the lease, and holds back when the limit of rows a second is reached. */
  pace(rows: number): Promise<void>;
}

/** The copy on the target before it is live, and what stays on the source after. */
export function stageOf({ move, target }: MoveWork, table: ShardedTable): string {
  return qualified(target.schema, nameFor(`plinth_move_${move.id}`, table.name));
}

export function archiveOf({ move, source }: Pick<MoveWork, "move" | "source">, table: string): string {
  return qualified(source.schema, nameFor(`plinth_gone_${move.id}`, table));
}

/** Tells a shard who works on the move now; whoever did before is refused from here on. */
export async function claimShard(database: Database, move: Move): Promise<void> {
  const rows = await database.sql`
    insert into plinth_mover as m (move, epoch) values (${move.id}, ${move.epoch})
    on conflict (move) do update set epoch = excluded.epoch where m.epoch <= excluded.epoch returning 1 as one`;
  if (rows.length === 0) throw takenOver(move.id);
}

/** A transaction of the mover: past the guard, and only while nobody took the move over. */
export function asMover<R>(
  database: Pick<Database, "transaction">,
  move: Move,
  run: (tx: Transaction) => Promise<R>,
): Promise<R> {
  return database.transaction(async (tx) => {
    const rows = await tx.sql`
      with m as materialized (
        select 1 from plinth_mover where move = ${move.id} and epoch = ${move.epoch} for share
      ) select set_config('plinth.key', '*', true) as held from m`;
    if (rows.length === 0) throw takenOver(move.id);
    return run(tx);
  });
}

/**
 * The same, for as long as it takes: what all rows of a move pass through at once must not fail for being many. Neither
 * the ordinary limit of a statement holds, nor those of the server's own settings.
 */
export function asMoverForLong<R>(database: Database, move: Move, run: (tx: Transaction) => Promise<R>): Promise<R> {
  const work = (tx: Transaction): Promise<R> =>
    tx.sql`select set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)`.then(() =>
      run(tx),
    );
  return database.session((session) => asMover(session, move, work), { statementTimeoutMs: longTimeoutMs });
}

/** A fence was not as this move had left it. Nothing was written. */
export function fenceLost({ id }: Move, shard: string): PlinthError {
  return error("failed_precondition", `Move ${id} met a fence on ${shard} that was not its own.`, {
    reason: "SHARD_FENCE_LOST",
    executed: "no",
  });
}

const longTimeoutMs = 3_600_000;

/** Column names for SQL, each behind `alias` ("t."), or alone. */
export function columnList(columns: readonly Column[], alias = ""): Fragment {
  return sql.unsafe(columns.map(({ name }) => `${alias}${quoteName(name)}`).join(", "));
}

/** A row as PostgreSQL writes it, which is also how it reads it: exact for every type. */
export function rowText({ columns }: ShardedTable, alias: string): Fragment {
  return sql`row(${columnList(columns, alias)})::text`;
}

/** The primary key as an array of texts. */
export function keyText({ primaryKey }: ShardedTable, alias: string): Fragment {
  return sql.unsafe(`array[${primaryKey.map(({ name }) => `${alias}${quoteName(name)}::text`).join(", ")}]`);
}

/** Matches rows of `alias` with `k`, an unnest of keys given as one array for each column. */
export function keyJoin({ primaryKey }: ShardedTable, alias: string, keys: readonly (readonly string[])[]): Fragment {
  const lists = primaryKey.map((_, i) => sql`${keys.map((key) => key[i] as string)}::text[]`);
  const names = sql.unsafe(primaryKey.map((_, i) => `k${i}`).join(", "));
  const match = primaryKey.map(({ name, type }, i) => `${alias}.${quoteName(name)} = k.k${i}::${type}`).join(" and ");
  return sql`unnest(${sql.join(lists)}) k(${names}) where ${sql.unsafe(match)}`;
}
