import type { PlinthError } from "../base/index.ts";
import { error, StartError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { bucketCount } from "./bucket.ts";

/**
 * A move as the directory remembers it. Its state says what is to be done next, so that any mover can go on:
 *
 *     STABLE → COPY → CATCHUP ⇄ FENCE → SWITCH → CLEAN → DONE
 *        └───────┴───────┴────────┴→ ABORT → ABORTED
 *
 * Up to FENCE a move can be given up, and the source has everything. In SWITCH that is possible as long as the target has
 * not opened: what the source let go comes back from its archive.
 */
export type MoveState = "STABLE" | "COPY" | "CATCHUP" | "FENCE" | "SWITCH" | "CLEAN" | "DONE" | "ABORT" | "ABORTED";

export interface Move {
  readonly id: number;
  readonly buckets: readonly number[];
  readonly source: string;
  readonly target: string;
  readonly state: MoveState;
  /** Of the mover that holds the lease: each new one counts on. */
  readonly epoch: number;
  readonly shape: string | null;
  /** Why it was given up. */
  readonly note: string | null;
  readonly rowsCopied: number;
  /** How long writers waited, in ms. */
  readonly pauseMs: number | null;
  /** Rows copied a second, at most, as was asked for with the move; null for no limit. */
  readonly rowsPerSecond: number | null;
}

interface MoveRow {
  readonly id: number;
  readonly buckets: number[];
  readonly source: string;
  readonly target: string;
  readonly state: MoveState;
  readonly epoch: number;
  readonly shape: string | null;
  readonly note: string | null;
  readonly rows_copied: number;
  readonly pause_ms: number | null;
  readonly rows_per_second: number | null;
}

export interface MoveChange {
  readonly shape?: string;
  readonly note?: string;
  readonly pauseMs?: number;
  readonly rowsCopied?: number;
}

/** Whose the planned moves are until they are done, and how fast they may be. */
export interface PlanTerms {
  readonly owner?: string;
  readonly rowsPerSecond?: number;
}

export interface MoveStore {
  /**
   * Writes down moves of `buckets` to `target`, each of at most `batch` buckets from one shard. With an owner they are
   * leased to it from the start.
   */
  plan(buckets: readonly number[], target: string, batch: number, terms?: PlanTerms): Promise<readonly Move[]>;
  /** The shards that have `buckets` now. */
  sourcesOf(buckets: readonly number[]): Promise<readonly string[]>;
  /** As they are now. */
  read(ids: readonly number[]): Promise<readonly Move[]>;
  /** Those that have not ended: first those that keep writers out, then the oldest. */
  unfinished(): Promise<readonly Move[]>;
  /** The latest, whatever became of them. */
  latest(limit: number): Promise<readonly Move[]>;
  /** Takes the lease of a move for its next mover; undefined when another has it. */
  take(id: number, owner: string): Promise<Move | undefined>;
  renew(move: Move): Promise<void>;
  /** Renews the leases of all that `owner` still has of `ids`. */
  keep(ids: readonly number[], owner: string): Promise<void>;
  /** Lets go of all that `owner` still has of `ids`: others need not wait for the leases. */
  release(ids: readonly number[], owner: string): Promise<void>;
  /** Sets a move to ABORT and frees its lease, whoever has it; undefined when it has switched or ended. */
  giveUp(id: number, why: string): Promise<Move | undefined>;
  /** To the next state, in one step with what was learned. */
  advance(move: Move, to: MoveState, change?: MoveChange): Promise<Move>;
  /** The buckets are the target's; then CLEAN. */
  hand(move: Move, epochs: ReadonlyMap<number, number>, change: MoveChange): Promise<Move>;
  /** Nothing more to do: the lease and the buckets are let go. With the epochs of those that never left. */
  end(move: Move, to: "DONE" | "ABORTED", epochs?: ReadonlyMap<number, number>): Promise<Move>;
  /** Those done longer ago than `retentionMs` whose archive still stands. */
  expired(retentionMs: number): Promise<readonly Move[]>;
  markExpired(id: number): Promise<void>;
}

export function createMoveStore(directory: Database, service: string, leaseMs: number): MoveStore {
  const advanceIn = async (tx: Pick<Transaction, "sql">, move: Move, to: MoveState, change: MoveChange = {}) => {
    const { shape = null, note = null, pauseMs = null, rowsCopied = 0 } = change;
    const [row] = await tx.sql<MoveRow>`
      update moves set state = ${to}, changed_at = clock_timestamp(),
        owner_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms',
        shape = coalesce(${shape}::text, shape), note = coalesce(${note}::text, note),
        pause_ms = coalesce(${pauseMs}::float8, pause_ms), rows_copied = rows_copied + ${rowsCopied}::bigint
      where id = ${move.id} and epoch = ${move.epoch} and state = ${move.state} returning *`;
    if (row) return toMove(row);
    // The answer to an earlier try may have been lost on the way.
    const [done] = await tx.sql<MoveRow>`
      select * from moves where id = ${move.id} and epoch = ${move.epoch} and state = ${to}`;
    if (!done) throw takenOver(move.id);
    return toMove(done);
  };

  const read = async (rows: Promise<MoveRow[]>): Promise<readonly Move[]> => (await rows).map(toMove);

  return {
    plan: (buckets, target, batch, terms = {}) => plan({ directory, service, leaseMs }, buckets, target, batch, terms),
    async sourcesOf(buckets) {
      const rows = await directory.sql<{ shard: string }>`
        select distinct shard from buckets where service = ${service} and bucket = any(${buckets}::int[]) order by shard`;
      return rows.map(({ shard }) => shard);
    },
    read: (ids) =>
      read(directory.sql<MoveRow>`
        select * from moves where service = ${service} and id = any(${ids}::bigint[]) order by id`),
    unfinished: () =>
      read(directory.sql<MoveRow>`
        select * from moves where service = ${service} and state not in ('DONE', 'ABORTED')
        order by state in ('FENCE', 'SWITCH') desc, id`),
    latest: (limit) =>
      read(directory.sql<MoveRow>`select * from moves where service = ${service} order by id desc limit ${limit}::int`),
    async take(id, owner) {
      const [row] = await directory.sql<MoveRow>`
        update moves set epoch = epoch + 1, owner = ${owner},
          owner_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        where id = ${id} and service = ${service} and state not in ('DONE', 'ABORTED')
          and (owner_until is null or owner_until <= clock_timestamp() or owner = ${owner})
        returning *`;
      return row && toMove(row);
    },
    async renew(move) {
      const rows = await directory.sql`
        update moves set owner_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        where id = ${move.id} and epoch = ${move.epoch} returning 1 as one`;
      if (rows.length === 0) throw takenOver(move.id);
    },
    async keep(ids, owner) {
      await directory.sql`
        update moves set owner_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
        where id = any(${ids}::bigint[]) and owner = ${owner}`;
    },
    async release(ids, owner) {
      await directory.sql`
        update moves set owner = null, owner_until = null where id = any(${ids}::bigint[]) and owner = ${owner}`;
    },
    async giveUp(id, why) {
      const [row] = await directory.sql<MoveRow>`
        update moves set state = 'ABORT', note = ${why}, epoch = epoch + 1, owner = null, owner_until = null
        where id = ${id} and service = ${service} and state in ('STABLE', 'COPY', 'CATCHUP', 'FENCE', 'SWITCH')
        returning *`;
      return row && toMove(row);
    },
    advance: (move, to, change) => advanceIn(directory, move, to, change),
    hand: (move, epochs, change) =>
      directory.transaction(async (tx) => {
        await tx.sql`
          update buckets b set shard = ${move.target}, epoch = e.epoch
          from unnest(${[...epochs.keys()]}::int[], ${[...epochs.values()]}::bigint[]) e(bucket, epoch)
          where b.service = ${service} and b.bucket = e.bucket and b.move = ${move.id}`;
        return advanceIn(tx, move, "CLEAN", change);
      }),
    end: (move, to, epochs = new Map()) =>
      directory.transaction(async (tx) => {
        // A router that was sent after the move comes back only for a higher epoch.
        await tx.sql`
          update buckets b set epoch = e.epoch
          from unnest(${[...epochs.keys()]}::int[], ${[...epochs.values()]}::bigint[]) e(bucket, epoch)
          where b.service = ${service} and b.bucket = e.bucket and b.move = ${move.id} and b.epoch < e.epoch`;
        await tx.sql`update buckets set move = null where service = ${service} and move = ${move.id}`;
        const ended = await advanceIn(tx, move, to);
        await tx.sql`update moves set owner = null, owner_until = null where id = ${move.id}`;
        return ended;
      }),
    expired: (retentionMs) =>
      read(directory.sql<MoveRow>`
        select * from moves where service = ${service} and state = 'DONE' and expired_at is null
          and changed_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 ms' order by id`),
    async markExpired(id) {
      await directory.sql`update moves set expired_at = clock_timestamp() where id = ${id}`;
    },
  };
}

async function plan(
  { directory, service, leaseMs }: { readonly directory: Database; readonly service: string; readonly leaseMs: number },
  buckets: readonly number[],
  target: string,
  batch: number,
  { owner = null, rowsPerSecond = null }: { readonly [key in keyof PlanTerms]: PlanTerms[key] | null },
): Promise<readonly Move[]> {
  const wanted = [...new Set(buckets)].sort((a, b) => a - b);
  const wrong = wanted.find((bucket) => !Number.isInteger(bucket) || bucket < 0 || bucket >= bucketCount);
  if (wrong !== undefined || wanted.length === 0)
    throw new StartError("SHARD_BUCKETS", `${wrong ?? "no bucket"}: buckets are numbers from 0 to ${bucketCount - 1}`);
  return directory.transaction(async (tx) => {
    const [shard] = await tx.sql`select 1 as one from shards where service = ${service} and name = ${target}`;
    if (!shard) {
      throw new StartError(
        "SHARD_UNKNOWN",
        `${service} has no shard ${target}: name it in DATABASE_SHARDS, and run plinth shards add ${target}`,
      );
    }
    const rows = await tx.sql<{ bucket: number; shard: string; move: number | null }>`
      select bucket, shard, move from buckets where service = ${service} and bucket = any(${wanted}::int[])
      order by bucket for update`;
    const busy = rows.find(({ move }) => move !== null);
    if (busy) {
      throw error("failed_precondition", `Bucket ${busy.bucket} is being moved already (move ${busy.move}).`, {
        reason: "SHARD_MOVE_BUSY",
        executed: "no",
      });
    }
    const bySource = new Map<string, number[]>();
    for (const { shard, bucket } of rows) {
      if (shard !== target) bySource.set(shard, [...(bySource.get(shard) ?? []), bucket]);
    }
    const moves: Move[] = [];
    for (const [source, own] of bySource) {
      for (let at = 0; at < own.length; at += batch) {
        const numbers = own.slice(at, at + batch);
        const [row] = await tx.sql<MoveRow>`
          insert into moves (service, buckets, source, target, state, rows_per_second, owner, owner_until)
          values (${service}, ${numbers}::int[], ${source}, ${target}, 'STABLE', ${rowsPerSecond}::float8, ${owner}::text,
            case when ${owner}::text is not null then clock_timestamp() + ${leaseMs}::float8 * interval '1 ms' end)
          returning *`;
        const move = toMove(row as MoveRow);
        await tx.sql`
          update buckets set move = ${move.id} where service = ${service} and bucket = any(${numbers}::int[])`;
        moves.push(move);
      }
    }
    return moves;
  });
}

function toMove(row: MoveRow): Move {
  const { id, buckets, source, target, state, epoch, shape, note } = row;
  const known = { id, buckets, source, target, state, epoch, shape, note };
  return { ...known, rowsCopied: row.rows_copied, pauseMs: row.pause_ms, rowsPerSecond: row.rows_per_second };
}

/** Another mover has the lease, or a person gave the move another state: this one touches nothing more. */
export function takenOver(id: number): PlinthError {
  return error("aborted", `Move ${id} is in other hands.`, {
    reason: "SHARD_MOVE_TAKEN_OVER",
    executed: "no",
    retry: "never",
  });
}
