import type { Kysely } from "kysely";
import type { CallContext, Clock, Duration, PlinthError, Position } from "../base/index.ts";
import { assert, deadlineExceeded, isError, systemClock, systemRandom, toMs } from "../base/index.ts";
import { CommitKey, CommitKeys, isWorthAnother } from "./commit-key.ts";
import type { DatabaseOptions } from "./database-options.ts";
import type { DatabaseFlags, DatabaseStats, Outcome, QueryResult, Session, StatementLimits } from "./driver.ts";
import { toDatabaseError } from "./errors.ts";
import { createKysely } from "./kysely.ts";
import { notStarted } from "./pool.ts";
import type { ReadDatabase, ReadHost } from "./read-database.ts";
import { ReadHandle } from "./read-database.ts";
import type { ReplicaStats } from "./replica.ts";
import { Replicas } from "./replicas.ts";
import { assertSchemaName } from "./schema-name.ts";
import type { Statement } from "./sql.ts";
import { Fragment } from "./sql.ts";
import type { Isolation, Transaction } from "./transaction.ts";
import { runTransaction } from "./transaction.ts";
import type { SqlText } from "./values.ts";
import { mayWrite } from "./write-check.ts";

/**
 * A service's own database: one SQL schema on an engine, in which its unqualified names live.
 *
 * **Promises.** A statement outside a transaction takes effect wholly or not at all. `transaction` commits before it
 * resolves, and rolls back before it rejects. A conflict with somebody else (serialization failure, deadlock) is tried
 * again from the start, at most `transactionAttempts` times with full jitter: **the callback may run more than once**,
 * so what it does beside the database belongs into `tx.afterCommit`. When the connection is lost during COMMIT the
 * error says so (`COMMIT_OUTCOME_UNKNOWN`, executed "maybe"), unless the transaction has a `key`: then it is found out,
 * within 10 s (commit-key.ts). Every other error of a transaction means that nothing was done. A bound database (`bind(context)`) refuses work whose deadline has passed, and cancels what runs when the call
 * is cancelled, as far as the engine can (`flags.cancelsStatements`).
 *
 * **Not promised.** Statements that change the session (`set`, session advisory locks, temporary tables, `listen`) leak
 * to whoever gets the session next: use `set local` in a transaction. A transaction that awaits another service, or
 * uses the database beside its own handle, holds a session while it waits for another: on the embedded engine, which has
 * one, it waits for itself until `acquireTimeoutMs`. A hook that fails does not undo the commit: it is reported to
 * `onHookError`. What the engine's acknowledgement survives is `flags.durability`.
 *
 * **Limits** (see `DatabaseOptions`): a statement 30 s, waiting for a session 5 s, idle in a transaction 30 s, 5 attempts.
 * COMMIT and ROLLBACK are not cancelled by the deadline, since an interrupted COMMIT is neither.
 */
export interface Database<Tables = any> {
  /** One statement; its rows. Interpolated values are values, never text. */
  sql<Row = Record<string, any>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  /** One statement made with the `sql` builder; rows and their count. */
  execute<Row = Record<string, any>>(fragment: Fragment): Promise<QueryResult<Row>>;
  /** Kysely over the same sessions: `db.query.selectFrom("product").selectAll().execute()`. */
  readonly query: Kysely<Tables>;
  /** Runs `run` in a transaction. It may run again after a conflict: see above. */
  transaction<R>(run: (tx: Transaction<Tables>) => Promise<R>, options?: TransactionOptions): Promise<R>;
  /** The escape hatch: `run` has one session for itself until it ends. */
  session<R>(run: (session: DatabaseSession<Tables>) => Promise<R>, options?: SessionOptions): Promise<R>;
  /**
   * To read from a replica, where that is allowed, else from the primary. `staleness` is what may be missing at most, by
   * time; what the call itself has written is never missing. Without it: nothing that had happened when the call first
   * read. Without replicas it is a database that takes no writes. Above 10 min counts as 10 min.
   */
  read(options?: { readonly staleness?: Duration }): ReadDatabase<Tables>;
  /** The same database for one call: its deadline, cancellation and trace hold for everything done through it. */
  bind(context: CallContext): Database<Tables>;
  readonly schema: string;
  /** The engine: "postgres", "pglite". */
  readonly engine: string;
  readonly flags: DatabaseFlags;
  readonly stats: DatabaseStats;
  /** Health and lag of each replica, in the order in which they were given. */
  readonly replicas: readonly ReplicaStats[];
  open(): Promise<void>;
  close(): Promise<void>;
}

/** One pinned session. */
export interface DatabaseSession<Tables = any> {
  sql<Row = Record<string, any>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  execute<Row = Record<string, any>>(fragment: Fragment): Promise<QueryResult<Row>>;
  transaction<R>(run: (tx: Transaction<Tables>) => Promise<R>, options?: TransactionOptions): Promise<R>;
  /** Several statements without values. */
  script(text: string): Promise<void>;
  /** At the end of `run` the session is ended instead of given back, and whatever it holds with it. */
  discard(): void;
}

export interface SessionOptions {
  /** Instead of the database's own. The engine's limit holds as well, until `set statement_timeout` changes it. */
  readonly statementTimeoutMs?: number;
  /**
   * The session's own state is needed: what `set` sets, advisory locks, temporary tables. Default false. Behind a
   * pooler in transaction mode it goes past the pooler, and needs `direct` in the URL (`flags.sessionState`).
   */
  readonly pinned?: boolean;
}

export interface TransactionOptions {
  /** Default "read committed", as in PostgreSQL. */
  readonly isolation?: Isolation;
  /** The engine refuses writes: `READ_ONLY_TRANSACTION`. Default false. */
  readonly readOnly?: boolean;
  /** Tries in all after conflicts. Default `transactionAttempts` of the database; 1 for none. */
  readonly attempts?: number;
  /**
   * Names this transaction for 7 days, 1 to 255 characters: a lost answer to its COMMIT is resolved, and a second
   * transaction with the key is refused (`COMMIT_KEY_USED`). Costs one more statement.
   */
  readonly key?: string;
}

const retryDelayMsBase = 50;
const retryDelayMsMax = 2_000;

export function createDatabase<Tables = any>(options: DatabaseOptions): Database<Tables> {
  assertSchemaName(options.schema);
  const settings: Settings = {
    driver: options.driver,
    schema: options.schema,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    statementTimeoutMs: options.statementTimeoutMs ?? 30_000,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 5_000,
    idleInTransactionMs: options.idleInTransactionMs ?? 30_000,
    transactionAttempts: options.transactionAttempts ?? 5,
    onQuery: options.onQuery,
    onHookError: options.onHookError ?? warnAboutHook,
    replicas: replicasOf(options),
    ownsReplicas: !(options.replicas instanceof Replicas),
    outside: { wroteAt: Number.NEGATIVE_INFINITY },
    keys: commitKeysOf(options),
  };
  assert(settings.transactionAttempts >= 1, "transactionAttempts is 1 or more");
  return new BoundDatabase(settings, undefined);
}

type Settings = Required<Omit<DatabaseOptions, "onQuery" | "replicas">> & {
  readonly onQuery: DatabaseOptions["onQuery"] | undefined;
  readonly replicas: Replicas | undefined;
  readonly ownsReplicas: boolean;
  /** When something was last written outside of calls, by the replicas' clock. */
  readonly outside: { wroteAt: number };
  readonly keys: CommitKeys;
};

/** Their sessions are not the call's: what it asked for is done. */
function commitKeysOf({ driver, schema, clock = systemClock, acquireTimeoutMs = 5_000 }: DatabaseOptions): CommitKeys {
  return new CommitKeys(clock, () => driver.acquire({ schema, timeoutMs: acquireTimeoutMs }));
}

function replicasOf({ driver, replicas, clock, random }: DatabaseOptions): Replicas | undefined {
  if (replicas === undefined || replicas instanceof Replicas) return replicas;
  return new Replicas({ primary: driver, replicas, ...(clock && { clock }), ...(random && { random }) });
}

/** A database, bound to a call or to none. Cheap to make: one object per call. */
class BoundDatabase implements Database, ReadHost {
  readonly context: CallContext | undefined;
  readonly #settings: Settings;
  #query: Kysely<any> | undefined;

  constructor(settings: Settings, context: CallContext | undefined) {
    this.#settings = settings;
    this.context = context;
  }

  get clock(): Clock {
    return this.#settings.clock;
  }
  get statementTimeoutMs(): number {
    return this.#settings.statementTimeoutMs;
  }
  get idleInTransactionMs(): number {
    return this.#settings.idleInTransactionMs;
  }
  get schema(): string {
    return this.#settings.schema;
  }
  get engine(): string {
    return this.#settings.driver.name;
  }
  get flags(): DatabaseFlags {
    return this.#settings.driver.flags;
  }
  get stats(): DatabaseStats {
    return this.#settings.driver.stats;
  }

  get replicas(): readonly ReplicaStats[] {
    return this.#settings.replicas?.stats ?? [];
  }
  get position(): Position | undefined {
    return this.context?.position;
  }
  get wroteAt(): number {
    return this.context ? Number.NEGATIVE_INFINITY : this.#settings.outside.wroteAt;
  }

  read({ staleness }: { readonly staleness?: Duration } = {}): ReadDatabase {
    return new ReadHandle(this, this.#settings.replicas, staleness === undefined ? undefined : toMs(staleness));
  }

  bind(context: CallContext): Database {
    return new BoundDatabase(this.#settings, context);
  }

  async open(): Promise<void> {
    await this.#settings.driver.open();
    await this.#settings.replicas?.open();
  }

  async close(): Promise<void> {
    if (this.#settings.ownsReplicas) await this.#settings.replicas?.close();
    await this.#settings.driver.close();
  }

  async sql<Row>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]> {
    return (await this.execute<Row>(new Fragment(strings, values))).rows;
  }

  async execute<Row>(fragment: Fragment): Promise<QueryResult<Row>> {
    const { text, values } = fragment.compile();
    return (await this.#once(text, values)) as QueryResult<Row>;
  }

  get query(): Kysely<any> {
    this.#query ??= createKysely((text, values) => this.#once(text, values));
    return this.#query;
  }

  #once(text: string, values: readonly SqlText[]): Promise<QueryResult> {
    return this.lease((session) => this.#statement(session, text, values));
  }

  /** Outside of a transaction: it has committed when it has ended. */
  async #statement(session: Session, text: string, values: readonly SqlText[]): Promise<QueryResult> {
    const result = await this.run(session, text, values, true);
    if (this.#settings.replicas && mayWrite(text)) await this.noteWrite(session);
    return result;
  }

  noteWrite(session: Session): Promise<void> | undefined {
    const { replicas, outside } = this.#settings;
    if (!replicas) return undefined;
    if (this.position) return replicas.noteWrite(session, this.position);
    // Nobody carries it anywhere: the time is enough, and costs nothing.
    outside.wroteAt = replicas.now();
    return undefined;
  }

  session<R>(run: (session: DatabaseSession) => Promise<R>, options: SessionOptions = {}): Promise<R> {
    const { statementTimeoutMs = this.statementTimeoutMs, pinned = false } = options;
    if (statementTimeoutMs !== this.statementTimeoutMs) {
      return new BoundDatabase({ ...this.#settings, statementTimeoutMs }, this.context).session(run, { pinned });
    }
    return this.lease(async (session) => {
      const execute = async (fragment: Fragment): Promise<QueryResult<any>> => {
        const { text, values } = fragment.compile();
        return this.#statement(session, text, values);
      };
      let isDiscarded = false;
      try {
        return await run({
          execute,
          sql: async (strings, ...values) => (await execute(new Fragment(strings, values))).rows,
          transaction: (work, options) => this.#transaction(work, options, (attempt) => attempt(session)),
          script: async (text) => {
            await this.script(session, text);
            await this.noteWrite(session);
          },
          discard: () => {
            isDiscarded = true;
          },
        });
      } finally {
        if (isDiscarded) session.release(true);
      }
    }, pinned);
  }

  transaction<R>(run: (tx: Transaction) => Promise<R>, options?: TransactionOptions): Promise<R> {
    const another = () => this.#acquire(false);
    return this.#transaction(run, options, (attempt) => this.lease(attempt), another);
  }

  async #transaction<R>(
    run: (tx: Transaction) => Promise<R>,
    options: TransactionOptions = {},
    lease: <T>(attempt: (session: Session) => Promise<T>) => Promise<T>,
    another?: () => Promise<Session>,
  ): Promise<R> {
    const { clock, random, transactionAttempts } = this.#settings;
    const { isolation = "read committed", readOnly = false, attempts = transactionAttempts } = options;
    assert(options.key === undefined || !readOnly, "a transaction with a key writes it: readOnly cannot hold");
    for (let attempt = 1; ; attempt++) {
      let began = false;
      const tracked = (tx: Transaction): Promise<R> => {
        began = true;
        return run(tx);
      };
      try {
        const key = options.key === undefined ? undefined : new CommitKey(options.key);
        const settings = { isolation, readOnly, key, another: attempts > 1 ? another : undefined };
        const done = await lease((session) => runTransaction(this, session, settings, tracked));
        await this.runHooks(key ? [...done.hooks, () => this.#settings.keys.sweep()] : done.hooks);
        return done.result;
      } catch (thrown) {
        // A pooled connection may have died unseen: nothing has begun, so a second one is tried, once and at once.
        if (!began && attempt === 1 && isError(thrown, "DATABASE_UNAVAILABLE")) continue;
        if (!isWorthAnother(thrown) || attempt >= attempts) throw thrown;
        const delayMs = random.next() * Math.min(retryDelayMsMax, retryDelayMsBase * 2 ** (attempt - 1));
        if (this.context && clock.now() + delayMs >= this.context.deadline) throw thrown;
        await clock.sleep(delayMs, this.context?.signal);
      }
    }
  }

  async runHooks(hooks: readonly (() => unknown)[]): Promise<void> {
    for (const hook of hooks) {
      try {
        await hook();
      } catch (thrown) {
        this.#settings.onHookError(thrown);
      }
    }
  }

  settle(key: CommitKey): Promise<boolean | undefined> {
    return this.#settings.keys.settle(key);
  }

  async lease<R>(run: (session: Session) => Promise<R>, pinned = false): Promise<R> {
    const session = await this.#acquire(pinned);
    try {
      return await run(session);
    } finally {
      session.release();
    }
  }

  #acquire(pinned: boolean): Promise<Session> {
    const { driver, schema, acquireTimeoutMs } = this.#settings;
    this.#refuseWhenOver();
    return driver.acquire({ schema, timeoutMs: acquireTimeoutMs, context: this.context, pinned });
  }

  async run(session: Session, text: string, values: readonly SqlText[], limited: boolean): Promise<QueryResult> {
    const { onQuery, clock } = this.#settings;
    const limits = this.#limits(limited);
    if (!onQuery) return session.query(text, values, limits);
    const startedAt = clock.now();
    try {
      const result = await session.query(text, values, limits);
      this.#record(text, startedAt, result.rowCount, undefined);
      return result;
    } catch (thrown) {
      const failed = toDatabaseError(thrown, text);
      this.#record(text, startedAt, 0, failed);
      throw failed;
    }
  }

  async runAll(session: Session, statements: readonly Statement[]): Promise<readonly Outcome[]> {
    const { onQuery, clock } = this.#settings;
    const startedAt = clock.now();
    const outcomes = (await session.pipeline?.(statements, this.#limits(true))) ?? [];
    if (!onQuery) return outcomes;
    for (const [i, { text }] of statements.entries()) {
      const outcome = outcomes[i];
      if (!outcome) continue;
      if ("result" in outcome) this.#record(text, startedAt, outcome.result.rowCount, undefined);
      else this.#record(text, startedAt, 0, outcome.failed);
    }
    return outcomes;
  }

  async script(session: Session, text: string): Promise<void> {
    await session.script(text, this.#limits(true));
  }

  #limits(limited: boolean): StatementLimits {
    if (!limited || !this.context) return { timeoutMs: this.#settings.statementTimeoutMs };
    this.#refuseWhenOver();
    return { timeoutMs: this.#settings.statementTimeoutMs, context: this.context };
  }

  #refuseWhenOver(): void {
    const context = this.context;
    if (!context) return;
    if (context.cancelled) throw notStarted(context.cancelled);
    if (context.deadline <= this.#settings.clock.now()) throw deadlineExceeded("no");
  }

  #record(text: string, startedAt: number, rows: number, failed: PlinthError | undefined): void {
    const { onQuery, clock, schema, driver } = this.#settings;
    const durationMs = clock.now() - startedAt;
    onQuery?.({ text, durationMs, rows, schema, engine: driver.name, trace: this.context?.trace, error: failed });
  }
}

function warnAboutHook(thrown: unknown): void {
  process.emitWarning(`an afterCommit hook failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
    code: "PLINTH_AFTER_COMMIT",
  });
}
