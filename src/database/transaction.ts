import type { Kysely } from "kysely";
import type { PlinthError } from "../base/index.ts";
import { assert, error, isError } from "../base/index.ts";
import type { CommitKey } from "./commit-key.ts";
import { commitLost } from "./commit-key.ts";
import type { QueryResult, Session } from "./driver.ts";
import { breaksSession, databaseDetail, isConflict, toDatabaseError, withExecuted } from "./errors.ts";
import { createKysely } from "./kysely.ts";
import { notStarted } from "./pool.ts";
import type { Statement } from "./sql.ts";
import { Fragment } from "./sql.ts";
import type { QueueHost } from "./statement-queue.ts";
import { StatementQueue } from "./statement-queue.ts";
import type { SqlText } from "./values.ts";

export type Isolation = "read committed" | "repeatable read" | "serializable";

/** The handle of an open transaction. Usable until its callback ends, by one statement at a time: others queue. */
export interface Transaction<Tables = any> {
  /** One statement; its rows. */
  sql<Row = Record<string, any>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  /** One statement made with the `sql` builder; rows and their count. */
  execute<Row = Record<string, any>>(fragment: Fragment): Promise<QueryResult<Row>>;
  readonly query: Kysely<Tables>;
  /**
   * A savepoint: when `run` throws, what it did is undone and the outer transaction goes on. While it is open, only
   * its own handle may be used.
   */
  transaction<R>(run: (tx: Transaction<Tables>) => Promise<R>): Promise<R>;
  /** Runs once the outermost transaction has committed, in order of registration; not at all when it did not. */
  afterCommit(hook: () => unknown): void;
  /** Several statements without values. Transaction control in it is yours to leave out. */
  script(text: string): Promise<void>;
}

/** What a transaction needs from the database that opened it. */
export interface TransactionHost extends QueueHost {
  readonly statementTimeoutMs: number;
  readonly idleInTransactionMs: number;
  /** Called when something was written and committed on `session`, which is free again. Never rejects. */
  noteWrite(session: Session): Promise<void> | undefined;
  /** Finds out what became of a COMMIT whose answer was lost. */
  settle(key: CommitKey): Promise<boolean | undefined>;
}

export interface TransactionSettings {
  readonly isolation: Isolation;
  readonly readOnly: boolean;
  readonly key?: CommitKey | undefined;
  /** See `StatementQueue`. */
  readonly another?: (() => Promise<Session>) | undefined;
}

/**
 * Runs `run` once in a transaction on `session`: the whole story from BEGIN to COMMIT or ROLLBACK. What comes back is
 * the result and the hooks to run; what is thrown says whether anything may have happened. `session.release` is the
 * caller's; `broken` tells how.
 *
 * Where the session has a pipeline, BEGIN goes with the first statement, and statements that are asked for in one turn go
 * together. A transaction without a statement never goes to the server.
 */
export async function runTransaction<R>(
  host: TransactionHost,
  session: Session,
  settings: TransactionSettings,
  run: (tx: Transaction) => Promise<R>,
): Promise<{ result: R; hooks: readonly (() => unknown)[] }> {
  const state = new TransactionState(host, session, settings);
  if (!session.pipeline) {
    try {
      await host.run(session, beginText(settings), [], true);
    } catch (thrown) {
      throw withExecuted(toDatabaseError(thrown), "no");
    }
  }
  state.watchIdle();
  const tx = new Handle(state, undefined);
  let result: R;
  try {
    await settings.key?.claim(tx);
    result = await run(tx);
    if (state.failure && breaksSession(state.failure)) throw state.failure;
    state.assertAwaited();
    if (host.context?.cancelled) throw notStarted(host.context.cancelled);
  } catch (thrown) {
    await state.rollback();
    state.statements.letGo();
    throw state.explain(thrown, settings.readOnly);
  }
  try {
    await state.commit();
  } catch (thrown) {
    state.statements.letGo();
    await settle(host, settings.key, thrown);
  }
  if (!settings.readOnly) await host.noteWrite(state.session);
  state.statements.letGo();
  return { result, hooks: tx.hooks };
}

/** Returns when the transaction has committed after all. */
async function settle(host: TransactionHost, key: CommitKey | undefined, thrown: unknown): Promise<void> {
  if (!key || !isError(thrown, "COMMIT_OUTCOME_UNKNOWN")) throw thrown;
  const isCommitted = await host.settle(key);
  if (isCommitted === undefined) throw thrown;
  if (!isCommitted) throw commitLost(thrown);
}

function beginText({ isolation, readOnly }: TransactionSettings): string {
  return `begin isolation level ${isolation}${readOnly ? " read only" : ""}`;
}

/** What all handles of one transaction share. */
class TransactionState {
  readonly host: TransactionHost;
  readonly statements: StatementQueue;
  /** The handle that may be used now: the innermost open one. */
  current: Handle | undefined;
  savepoints = 0;
  /** The first statement that failed since the last savepoint was left: PostgreSQL takes no more until a rollback. */
  failure: PlinthError | undefined;
  conflict: PlinthError | undefined;
  ended: "committed or rolled back" | "idle" | undefined;
  readonly #failures = new Set<unknown>();
  #stopIdle: (() => void) | undefined;

  constructor(host: TransactionHost, session: Session, settings: TransactionSettings) {
    this.host = host;
    const { another } = settings;
    const explain = (failed: PlinthError) => this.#noteFailure(failed);
    this.statements = new StatementQueue({ host, session, begin: beginText(settings), another, explain });
  }

  /** The one in use now. */
  get session(): Session {
    return this.statements.session;
  }

  enqueue(handle: Handle, what: Statement | { readonly script: string }): Promise<QueryResult> {
    const refusal = this.refusal(handle);
    return refusal ? Promise.reject(refusal) : this.statements.add(what);
  }

  #noteFailure(failed: PlinthError): PlinthError {
    this.#failures.add(failed);
    if (isConflict(failed)) this.conflict ??= failed;
    if (failed.reason === "TRANSACTION_FAILED" && this.failure) {
      const detail = { ...databaseDetail(failed), message: "An earlier statement failed and its error was swallowed." };
      return error(failed.code, failed.message, {
        reason: failed.reason,
        executed: "no",
        retry: "never",
        detail,
        cause: this.failure,
      });
    }
    this.failure ??= failed;
    return failed;
  }

  refusal(handle: Handle): PlinthError | undefined {
    if (this.ended === "idle") return transactionIdle(this.host.idleInTransactionMs);
    if (this.ended || handle.ended) {
      return misuse(
        "TRANSACTION_ENDED",
        "This transaction has ended: a query in it was not awaited, or its handle was kept.",
      );
    }
    if (this.current !== handle) {
      return misuse(
        "TRANSACTION_NESTED_OPEN",
        "A nested transaction is open: use its handle, and await it before the outer one goes on.",
      );
    }
    return undefined;
  }

  assertAwaited(): void {
    if (this.ended === "idle") throw transactionIdle(this.host.idleInTransactionMs);
    const { pending } = this.statements;
    if (pending === 0) return;
    const message = `The transaction's callback returned while ${pending} of its queries still ran: await them all.`;
    throw misuse("TRANSACTION_NOT_AWAITED", message);
  }

  /** Ends the transaction when the program leaves it lying: it holds locks, and on the embedded engine everything. */
  watchIdle(): void {
    const { clock, idleInTransactionMs } = this.host;
    const check = (): void => {
      const left = this.statements.idleSince + idleInTransactionMs - clock.now();
      if (this.statements.pending > 0 || left > 0) this.#stopIdle = clock.after(Math.max(left, 10), check);
      else void this.rollback("idle").then(() => this.session.release(false));
    };
    this.#stopIdle = clock.after(idleInTransactionMs, check);
  }

  async commit(): Promise<void> {
    this.#end("committed or rolled back");
    if (this.statements.isUnbegun) return;
    let command: string;
    try {
      ({ command } = await this.host.run(this.session, "commit", [], false));
    } catch (thrown) {
      const failed = toDatabaseError(thrown);
      this.session.release(breaksSession(failed));
      if (failed.executed === "no") throw failed;
      throw error("unknown", "Whether this took effect is not known.", {
        reason: "COMMIT_OUTCOME_UNKNOWN",
        executed: "maybe",
        retry: "never",
        detail: databaseDetail(failed),
        cause: failed,
      });
    }
    // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and no error.
    if (command === "ROLLBACK") throw this.conflict ?? rolledBack(this.failure);
  }

  async rollback(why: "committed or rolled back" | "idle" = "committed or rolled back"): Promise<void> {
    if (this.ended) return;
    this.#end(why);
    await this.statements.settled();
    if (this.statements.isUnbegun) return;
    if (this.failure && breaksSession(this.failure)) return this.session.release(true);
    try {
      await this.host.run(this.session, "rollback", [], false);
    } catch {
      // The server forgets a transaction with its connection: that is a rollback too.
      this.session.release(true);
    }
  }

  #end(why: "committed or rolled back" | "idle"): void {
    this.ended = why;
    this.#stopIdle?.();
  }

  /** What to throw after a rollback: nothing was done, whatever the statement's own error had to assume. */
  explain(thrown: unknown, readOnly: boolean): unknown {
    if (this.#failures.has(thrown)) {
      const failed = toDatabaseError(thrown);
      return withExecuted(readOnly ? openedForReading(failed) : failed, "no");
    }
    return thrown;
  }
}

class Handle implements Transaction {
  readonly hooks: (() => unknown)[] = [];
  ended = false;
  readonly #state: TransactionState;
  readonly #outer: Handle | undefined;
  #query: Kysely<any> | undefined;

  constructor(state: TransactionState, outer: Handle | undefined) {
    this.#state = state;
    this.#outer = outer;
    state.current = this;
  }

  async sql<Row>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]> {
    return (await this.execute<Row>(new Fragment(strings, values))).rows;
  }

  async execute<Row>(fragment: Fragment): Promise<QueryResult<Row>> {
    const { text, values } = fragment.compile();
    return (await this.#run(text, values)) as QueryResult<Row>;
  }

  get query(): Kysely<any> {
    this.#query ??= createKysely((text, values) => this.#run(text, values));
    return this.#query;
  }

  #run(text: string, values: readonly SqlText[]): Promise<QueryResult> {
    return this.#state.enqueue(this, { text, values });
  }

  async script(text: string): Promise<void> {
    await this.#state.enqueue(this, { script: text });
  }

  afterCommit(hook: () => unknown): void {
    const refusal = this.#state.refusal(this);
    if (refusal) throw refusal;
    this.hooks.push(hook);
  }

  async transaction<R>(run: (tx: Transaction) => Promise<R>): Promise<R> {
    const state = this.#state;
    const name = `plinth_${++state.savepoints}`;
    await this.#run(`savepoint ${name}`, []);
    const inner = new Handle(state, this);
    try {
      const result = await run(inner);
      state.assertAwaited();
      if (state.failure) throw rolledBack(state.failure);
      await inner.#run(`release savepoint ${name}`, []);
      this.hooks.push(...inner.hooks);
      inner.#leave();
      return result;
    } catch (thrown) {
      await inner.#undo(name);
      throw thrown;
    }
  }

  /** Back to the savepoint, unless the whole transaction is gone. */
  async #undo(name: string): Promise<void> {
    const state = this.#state;
    this.#leave();
    if (state.ended || (state.failure && breaksSession(state.failure))) return;
    const outer = this.#outer;
    assert(outer, "a savepoint lies inside a transaction");
    await state.statements.settled();
    const failed = state.failure;
    state.failure = undefined;
    try {
      await outer.#run(`rollback to savepoint ${name}`, []);
      await outer.#run(`release savepoint ${name}`, []);
    } catch {
      state.failure = failed ?? state.failure;
    }
  }

  #leave(): void {
    this.ended = true;
    if (this.#state.current === this) this.#state.current = this.#outer;
  }
}

/** The error of a write where only reading was asked for; other errors as they are. */
export function openedForReading(thrown: unknown): PlinthError {
  const failed = toDatabaseError(thrown);
  if (failed.reason !== "DATABASE_READ_ONLY") return failed;
  return error("failed_precondition", "This was opened for reading only.", {
    reason: "READ_ONLY_TRANSACTION",
    executed: "no",
    cause: failed,
  });
}

function misuse(reason: string, message: string): PlinthError {
  return error("internal", message, { reason, executed: "no" });
}

function rolledBack(failure: PlinthError | undefined): PlinthError {
  return error("aborted", "The transaction was rolled back.", {
    reason: "TRANSACTION_ROLLED_BACK",
    executed: "no",
    retry: "never",
    detail: {
      message: "A statement failed, its error was swallowed, and PostgreSQL keeps nothing of such a transaction.",
    },
    cause: failure,
  });
}

function transactionIdle(idleMs: number): PlinthError {
  return error("aborted", "The transaction waited too long between two statements.", {
    reason: "TRANSACTION_IDLE",
    executed: "no",
    retry: "never",
    detail: { message: `No statement for ${idleMs} ms: it was rolled back so that its locks do not stop others.` },
  });
}
