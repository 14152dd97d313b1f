import type { Clock, PlinthError } from "../base/index.ts";
import { error, isError } from "../base/index.ts";
import type { QueryResult, Session } from "./driver.ts";
import { databaseDetail, isConflict } from "./errors.ts";
import type { Fragment } from "./sql.ts";
import { quoteName, sql } from "./sql.ts";

/**
 * Tells what became of a COMMIT whose answer was lost.
 *
 * A transaction with a key writes it, first of all, into `plinth_commits`. When the answer to its COMMIT is lost, another
 * session tries to write the same key. While the old transaction is still open that waits; as soon as it has ended, the
 * key is there with its number as `xmin` (it committed) or not (it did not, and never will: what had written the key is
 * gone). So the answer is definite, never a guess. A key with another number is that of somebody who did the same work in
 * between: ours did not happen. An old session that does not end by itself within half a second is ended: it was given
 * up, and whatever it was doing, it then did or did not.
 *
 * Keys are kept for 7 days and then swept by whoever commits with one, 1,000 at a time. A key that is there from an
 * earlier transaction is refused: `COMMIT_KEY_USED`, which means that the work was done before.
 */
export class CommitKey {
  readonly #key: string;
  #pid = 0;
  #xid = "";

  constructor(key: string) {
    if (key.length < 1 || key.length > keyLengthMax) throw keyInvalid();
    this.#key = key;
  }

  /** The first statement of the transaction. Waits while another one with this key is open. */
  async claim(tx: Claimant): Promise<void> {
    const claimed = await tx
      .execute<{ pid: number; xid: string }>(
        sql`insert into plinth_commits (key) values (${this.#key}) on conflict do nothing
            returning pg_backend_pid() as pid, pg_current_xact_id()::xid::text as xid`,
      )
      .catch((thrown) => {
        throw databaseDetail(thrown)?.sqlState === "42P01" ? keysMissing(thrown) : thrown;
      });
    const [row] = claimed.rows;
    if (!row) throw keyUsed();
    this.#pid = row.pid;
    this.#xid = row.xid;
  }

  /** Whether the transaction committed; undefined when that could not be found out in time. */
  async settle(acquire: () => Promise<Session>, clock: Clock, timeoutMs: number): Promise<boolean | undefined> {
    const endsAt = clock.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const limitMs = Math.min(endsAt - clock.now(), statementTimeoutMs);
      if (limitMs <= 0) return undefined;
      try {
        const session = await acquire();
        try {
          return await this.#ask(session, limitMs);
        } finally {
          session.release();
        }
      } catch {
        // The server is not back yet, or the old session is only just ending.
        await clock.sleep(Math.min(delayMsBase * 2 ** attempt, delayMsMax, Math.max(endsAt - clock.now(), 1)));
      }
    }
  }

  async #ask(session: Session, timeoutMs: number): Promise<boolean> {
    const run = (text: string, values: readonly string[] = []) => session.query(text, values, { timeoutMs });
    // What the insert waited for must be seen by the next statement, whatever the role's default is.
    await run("begin isolation level read committed");
    try {
      await run(`set local lock_timeout = ${oldSessionMs}`);
      const { rowCount } = await run("insert into plinth_commits (key) values ($1) on conflict do nothing", [
        this.#key,
      ]);
      if (rowCount === 1) return false;
      const { rows } = await run("select xmin::text = $2 as ours from plinth_commits where key = $1", [
        this.#key,
        this.#xid,
      ]);
      return rows[0]?.ours === true;
    } catch (thrown) {
      if (isError(thrown, "LOCK_NOT_AVAILABLE")) {
        await run("rollback");
        await run(terminateText, [String(this.#pid), this.#xid]);
      }
      throw thrown;
    } finally {
      // In doubt, the session is thrown away, and the server forgets what was begun.
      await run("rollback").catch(() => session.release(true));
    }
  }
}

/** A transaction, as far as this file knows it. */
interface Claimant {
  execute<Row>(fragment: Fragment): Promise<QueryResult<Row>>;
}

/** The transaction's own session, and no other that has its number by now. */
const terminateText =
  "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1::int and backend_xid::text = $2";

/** Times at most for finding out, in all, for one statement, and until an old session is ended. */
const settleTimeoutMs = 10_000;
const statementTimeoutMs = 2_000;
const oldSessionMs = 500;
const delayMsBase = 20;
const delayMsMax = 500;

/** As long as a header `Idempotency-Key` may be. */
const keyLengthMax = 255;

/** The table of keys in a schema. Made by `migrate`, before any step. */
export function commitKeysText(schema: string): string {
  const name = quoteName(schema);
  return `create table if not exists ${name}.plinth_commits (
       key text primary key,
       committed_at timestamptz not null default now()
     );
     create index if not exists plinth_commits_age on ${name}.plinth_commits using brin (committed_at)`;
}

/** The keys of one database: finds out about them, and removes old ones as part of what it serves, with no task of its own. */
export class CommitKeys {
  readonly #clock: Clock;
  readonly #acquire: () => Promise<Session>;
  #sweepAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, acquire: () => Promise<Session>) {
    this.#clock = clock;
    this.#acquire = acquire;
  }

  settle(key: CommitKey): Promise<boolean | undefined> {
    return key.settle(this.#acquire, this.#clock, settleTimeoutMs);
  }

  /** Each 10 minutes at most, or with the next transaction as long as there are many. */
  async sweep(): Promise<void> {
    const clock = this.#clock;
    if (clock.now() < this.#sweepAt) return;
    this.#sweepAt = clock.now() + sweepEveryMs;
    const session = await this.#acquire();
    try {
      const { rowCount } = await session.query(sweepText, [], { timeoutMs: statementTimeoutMs });
      if (rowCount >= sweepCount) this.#sweepAt = clock.now();
    } finally {
      session.release();
    }
  }
}

const sweepEveryMs = 600_000;
const sweepCount = 1_000;
const sweepText = `delete from plinth_commits where ctid = any (array(
  select ctid from plinth_commits where committed_at < now() - interval '7 days' limit ${sweepCount} for update skip locked))`;

/** True when a transaction with a key is worth another try: it did not happen. */
export function isWorthAnother(thrown: unknown): boolean {
  return isConflict(thrown) || isError(thrown, "COMMIT_LOST");
}

/** COMMIT_LOST: the connection went during COMMIT, and the transaction is known not to have happened. Try again. */
export function commitLost(cause: PlinthError): PlinthError {
  const detail = databaseDetail(cause);
  return error("aborted", "The transaction was rolled back.", { reason: "COMMIT_LOST", executed: "no", detail, cause });
}

function keyUsed(): PlinthError {
  return error("already_exists", "This was done before.", {
    reason: "COMMIT_KEY_USED",
    executed: "no",
    detail: { message: "A transaction with this key has committed within the last 7 days." },
  });
}

function keyInvalid(): PlinthError {
  return error("invalid_argument", `A key has 1 to ${keyLengthMax} characters.`, {
    reason: "COMMIT_KEY_INVALID",
    executed: "no",
  });
}

function keysMissing(cause: unknown): PlinthError {
  return error("internal", "Something went wrong on our side.", {
    reason: "COMMIT_KEYS_MISSING",
    executed: "no",
    detail: { message: "The table plinth_commits is missing in this schema: run migrate on it first." },
    cause,
  });
}
