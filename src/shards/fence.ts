import type { QueryResult, Session, StatementLimits } from "../database/index.ts";
import { quoteName } from "../database/index.ts";

/** What the fence of a bucket says. Undefined where no row is: the shard was never prepared. */
export interface FenceRow {
  readonly state: "open" | "fenced" | "incoming" | "away";
  readonly epoch: number;
  readonly moved_to: string | null;
  /** A mover is waiting for writers to hold back. */
  readonly closing: boolean;
}

/** The statements that ask the fence, for sessions: inside a transaction, whose lock they take, or after a read. */
export interface Fence {
  /** @internal True for the mutant alone. */
  readonly isOff: boolean;
  /**
   * First statement of a writing transaction: waits for the bucket's row, shares its lock until the end of the
   * transaction, and says for whom is written. While the lock is held nobody can fence the bucket.
   */
  lock(session: Session, bucket: number, key: string, limits: StatementLimits): Promise<FenceRow | undefined>;
  /** Looks, and locks nothing. */
  look(session: Session, bucket: number, limits: StatementLimits): Promise<FenceRow | undefined>;
}

export function createFence(schema: string): Fence {
  const home = quoteName(schema);
  // Materialized: the row is locked before the setting is made of it.
  const lockText = `with f as materialized (
    select epoch, state, capture, moved_to from ${home}.plinth_fence where bucket = $1::int for share
  ) select f.epoch, f.state, f.moved_to,
    exists (select 1 from ${home}.plinth_closing c where c.bucket = $1::int and c.until > clock_timestamp()) as closing,
    set_config('plinth.key', case when f.capture then '+' else '=' end || $2::text, true) as held
  from f`;
  const lookText = `select epoch, state, moved_to, false as closing from ${home}.plinth_fence where bucket = $1::int`;
  const first = ({ rows }: QueryResult): FenceRow | undefined => rows[0] as FenceRow | undefined;
  return {
    isOff: false,
    lock: async (session, bucket, key, limits) => first(await session.query(lockText, [String(bucket), key], limits)),
    look: async (session, bucket, limits) => first(await session.query(lookText, [String(bucket)], limits)),
  };
}

/** @internal The mutant: says for whom is written, and asks nobody. */
export function createOpenFence(): Fence {
  const open: FenceRow = { state: "open", epoch: 0, moved_to: null, closing: false };
  return {
    isOff: true,
    async lock(session, _bucket, key, limits) {
      await session.query("select set_config('plinth.key', '=' || $1::text, true)", [key], limits);
      return open;
    },
    look: async () => open,
  };
}
