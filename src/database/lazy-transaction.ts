import type { Kysely } from "kysely";
import { CompiledQuery } from "kysely";
import { error } from "../base/index.ts";
import type { Database, TransactionOptions } from "./database.ts";
import type { QueryResult } from "./driver.ts";
import { createKysely } from "./kysely.ts";
import { Fragment } from "./sql.ts";
import type { Transaction } from "./transaction.ts";

/**
 * A transaction that begins with its first statement. Until then it holds no session, so whoever has it may call other
 * services and use other databases first: on an engine with one session a transaction that is open would keep them
 * waiting for itself.
 *
 * `first` runs in it before anything else. What it throws ends the transaction, and comes out of the statement that
 * began it as well as out of `commit`. It is not tried again after a conflict: the error says so, and whoever holds the
 * whole work does it anew.
 *
 * `together`: the statement that begins it goes to the server with the first statement of `first`, in one round trip. It
 * has then run when `first` throws, and is undone, unseen: for a `first` that seldom does.
 */
export interface LazyTransaction {
  readonly tx: Transaction;
  readonly begun: boolean;
  /** Begins it, if nothing has. */
  begin(): Promise<void>;
  /** Begins it if nothing has, and commits. */
  commit(): Promise<void>;
  /** Undoes what was done, if anything was. Never rejects. */
  rollback(): Promise<void>;
}

export type LazyOptions = Omit<TransactionOptions, "attempts"> & { readonly together?: boolean };

export function lazyTransaction(
  database: Database,
  first: (tx: Transaction) => Promise<void>,
  options: LazyOptions = {},
): LazyTransaction {
  const lazy = new Lazy(database, first, options);
  return {
    tx: lazy,
    get begun() {
      return lazy.begun;
    },
    begin: () => lazy.begin(),
    commit: () => lazy.commit(),
    rollback: () => lazy.rollback(),
  };
}

class Lazy implements Transaction {
  begun = false;
  #isOver = false;
  readonly #database: Database;
  readonly #first: (tx: Transaction) => Promise<void>;
  readonly #options: LazyOptions;
  /** Asked for before it began. */
  readonly #hooks: (() => unknown)[] = [];
  #real: Transaction | undefined;
  #opened: Promise<Transaction> | undefined;
  #over: Promise<void> | undefined;
  #finish: ((outcome: { readonly undo: boolean }) => void) | undefined;
  #query: Kysely<any> | undefined;

  constructor(database: Database, first: (tx: Transaction) => Promise<void>, options: LazyOptions) {
    this.#database = database;
    this.#first = first;
    this.#options = options;
  }

  async sql<Row>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]> {
    return (await this.execute<Row>(new Fragment(strings, values))).rows;
  }

  async execute<Row>(fragment: Fragment): Promise<QueryResult<Row>> {
    return this.#do((tx) => tx.execute<Row>(fragment));
  }

  get query(): Kysely<any> {
    this.#query ??= createKysely(async (text, values) => {
      const { rows, numAffectedRows } = await this.#do((tx) =>
        tx.query.executeQuery(CompiledQuery.raw(text, [...values])),
      );
      return {
        rows: rows as Record<string, unknown>[],
        rowCount: numAffectedRows === undefined ? rows.length : Number(numAffectedRows),
        command: numAffectedRows === undefined ? "SELECT" : "UPDATE",
        fields: [],
      };
    });
    return this.#query;
  }

  async transaction<R>(run: (tx: Transaction) => Promise<R>): Promise<R> {
    return (await this.#begin()).transaction(run);
  }

  async script(text: string): Promise<void> {
    await (await this.#begin()).script(text);
  }

  afterCommit(hook: () => unknown): void {
    if (this.#isOver) throw over();
    if (this.#real) this.#real.afterCommit(hook);
    else this.#hooks.push(hook);
  }

  async begin(): Promise<void> {
    await this.#begin();
  }

  async commit(): Promise<void> {
    await this.#begin();
    this.#isOver = true;
    this.#finish?.({ undo: false });
    await this.#over;
  }

  async rollback(): Promise<void> {
    // First of all: a branch of the work that still runs must not begin what nobody would end.
    this.#isOver = true;
    if (!this.begun) return;
    this.#finish?.({ undo: true });
    await this.#over?.catch(() => {});
  }

  #begin(): Promise<Transaction> {
    if (this.#isOver && !this.#opened) return Promise.reject(over());
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** Runs one statement, which may be the one that begins it. */
  async #do<R>(statement: (tx: Transaction) => Promise<R>): Promise<R> {
    if (this.#opened || this.#isOver || !this.#options.together) return statement(await this.#begin());
    let result: Promise<R> | undefined;
    this.#opened = this.#open((tx) => {
      result = statement(tx);
      // Whoever asked hears of it below, unless it does not count.
      result.catch(() => {});
    });
    const tx = await this.#opened;
    return result ?? statement(tx);
  }

  #open(meanwhile: (tx: Transaction) => void = () => {}): Promise<Transaction> {
    this.begun = true;
    const finished = new Promise<{ readonly undo: boolean }>((resolve) => {
      this.#finish = resolve;
    });
    const { together: _, ...options } = this.#options;
    return new Promise((resolve, reject) => {
      const work = this.#database.transaction(
        async (tx) => {
          const first = this.#first(tx);
          meanwhile(tx);
          await first;
          for (const hook of this.#hooks) tx.afterCommit(hook);
          this.#real = tx;
          resolve(tx);
          if ((await finished).undo) throw undone;
        },
        { ...options, attempts: 1 },
      );
      this.#over = work;
      work.catch(reject);
    });
  }
}

function over(): Error {
  return error("internal", "This transaction has ended.", {
    reason: "TRANSACTION_ENDED",
    detail: "A branch of the work went on after the rest had failed: await every branch (Promise.allSettled).",
    executed: "no",
  });
}

/** Ends the transaction from inside; nobody sees it but `rollback`. */
const undone = new Error("rolled back on request");
