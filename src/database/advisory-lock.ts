import type { Clock, StartError } from "../base/index.ts";
import type { DatabaseSession } from "./database.ts";
import { sql } from "./sql.ts";

const pollMs = 50;

export interface AdvisoryLockOptions {
  /** Names the lock; the whole database knows it. */
  readonly key: string;
  /** Longest wait for whoever else holds it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** What is thrown then. */
  readonly tooLate: () => StartError;
}

/**
 * Runs while this session alone holds the lock. It is asked for again and again instead of waited for: a waiting statement
 * would hold back `create index concurrently` of the process that works. When the session is gone, so is its lock: one that
 * cannot give it back is ended.
 */
export async function withAdvisoryLock<R>(
  session: DatabaseSession,
  { key, timeoutMs, clock, tooLate }: AdvisoryLockOptions,
  run: () => Promise<R>,
): Promise<R> {
  const lock = sql`hashtextextended(${key}, 0)`;
  const endsAt = clock.now() + timeoutMs;
  for (;;) {
    const { rows } = await session.execute<{ got: boolean }>(sql`select pg_try_advisory_lock(${lock}) as got`);
    if (rows[0]?.got) break;
    if (clock.now() >= endsAt) throw tooLate();
    await clock.sleep(pollMs);
  }
  try {
    return await run();
  } finally {
    await session.execute(sql`select pg_advisory_unlock(${lock})`).catch(() => session.discard());
  }
}
