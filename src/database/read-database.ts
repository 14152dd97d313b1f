import type { Kysely } from "kysely";
import type { Position } from "../base/index.ts";
import type { QueryResult, Session } from "./driver.ts";
import { createKysely } from "./kysely.ts";
import type { ReplicaSession } from "./replica.ts";
import type { Read, Replicas } from "./replicas.ts";
import { Fragment } from "./sql.ts";
import type { Transaction, TransactionHost } from "./transaction.ts";
import { openedForReading, runTransaction } from "./transaction.ts";
import type { SqlText } from "./values.ts";
import { mayWrite } from "./write-check.ts";

/**
 * A database to read from, and nothing else: on a replica where that is allowed (replicas.ts says when), else on the
 * primary. A write is refused with READ_ONLY_TRANSACTION on either. **No decision on a replica**: whoever writes because of
 * what was read reads it again in the transaction that writes.
 *
 * The callbacks of `session` and `transaction` may run twice: when a replica fails them, they run again on the primary.
 */
export interface ReadDatabase<Tables = any> {
  sql<Row = Record<string, any>>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]>;
  execute<Row = Record<string, any>>(fragment: Fragment): Promise<QueryResult<Row>>;
  readonly query: Kysely<Tables>;
  /** All its statements run on one server, each seeing at least what the one before saw. */
  session<R>(run: (session: ReadSession<Tables>) => Promise<R>): Promise<R>;
  /** All its statements see the same state: "repeatable read", unless told otherwise. */
  transaction<R>(run: (tx: Transaction<Tables>) => Promise<R>, options?: ReadTransactionOptions): Promise<R>;
}

export interface ReadSession<Tables = any> extends Omit<ReadDatabase<Tables>, "session" | "query"> {}

export interface ReadTransactionOptions {
  readonly isolation?: "read committed" | "repeatable read";
}

/** What a read needs from the database that it is made from. */
export interface ReadHost extends TransactionHost {
  readonly schema: string;
  readonly position: Position | undefined;
  readonly wroteAt: number;
  /** Runs `run` on a session of the primary. */
  lease<R>(run: (session: Session) => Promise<R>): Promise<R>;
  runHooks(hooks: readonly (() => unknown)[]): Promise<void>;
}

export class ReadHandle implements ReadDatabase {
  readonly #host: ReadHost;
  readonly #replicas: Replicas | undefined;
  readonly #stalenessMs: number | undefined;
  #query: Kysely<any> | undefined;

  constructor(host: ReadHost, replicas: Replicas | undefined, stalenessMs: number | undefined) {
    this.#host = host;
    this.#replicas = replicas;
    this.#stalenessMs = stalenessMs;
  }

  async sql<Row>(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<Row[]> {
    return (await this.execute<Row>(new Fragment(strings, values))).rows;
  }

  async execute<Row>(fragment: Fragment): Promise<QueryResult<Row>> {
    const { text, values } = fragment.compile();
    return (await this.#route((place) => this.#run(place, text, values))) as QueryResult<Row>;
  }

  get query(): Kysely<any> {
    this.#query ??= createKysely((text, values) => this.#route((place) => this.#run(place, text, values)));
    return this.#query;
  }

  session<R>(run: (session: ReadSession) => Promise<R>): Promise<R> {
    return this.#route((place) => {
      const execute = async (fragment: Fragment): Promise<QueryResult<any>> => {
        const { text, values } = fragment.compile();
        return this.#run(place, text, values);
      };
      return run({
        execute,
        sql: async (strings, ...values) => (await execute(new Fragment(strings, values))).rows,
        transaction: (work, options) => this.#transact(place, work, options),
      });
    });
  }

  transaction<R>(run: (tx: Transaction) => Promise<R>, options?: ReadTransactionOptions): Promise<R> {
    return this.#route((place) => this.#transact(place, run, options));
  }

  async #route<R>(run: (place: Place) => Promise<R>): Promise<R> {
    const replica = this.#replicas && (await this.#replicas.lease(this.#read()));
    if (replica) {
      try {
        return await run({ session: replica, isPrimary: false });
      } catch (thrown) {
        if (!this.#isReplicasFault(replica)) throw thrown;
        this.#replicas?.noteFailure(replica);
      } finally {
        replica.release();
      }
    }
    return this.#host.lease((session) => run({ session, isPrimary: true }));
  }

  #read(): Read {
    const { schema, position, wroteAt, context } = this.#host;
    return { schema, position, wroteAt, context, stalenessMs: this.#stalenessMs };
  }

  /** Whatever failed there is asked of the primary, unless it was the caller's own doing. */
  #isReplicasFault({ failure }: ReplicaSession): boolean {
    if (!failure || this.#host.context?.cancelled) return false;
    return failure.reason !== "DATABASE_READ_ONLY" && !/^(?:cancelled|deadline_exceeded)$/.test(failure.code);
  }

  async #run({ session, isPrimary }: Place, text: string, values: readonly SqlText[]): Promise<QueryResult> {
    const run = (statement: string, given: readonly SqlText[]) => this.#host.run(session, statement, given, true);
    // On the primary, what may write runs where the server refuses it; a replica refuses by itself.
    const isGuarded = isPrimary && mayWrite(text);
    try {
      if (isGuarded) await run("begin read only", []);
      return await run(text, values);
    } catch (thrown) {
      throw openedForReading(thrown);
    } finally {
      if (isGuarded) await this.#host.run(session, "rollback", [], false).catch(() => session.release(true));
    }
  }

  async #transact<R>(
    { session }: Place,
    run: (tx: Transaction) => Promise<R>,
    { isolation = "repeatable read" }: ReadTransactionOptions = {},
  ): Promise<R> {
    const { result, hooks } = await runTransaction(this.#host, session, { isolation, readOnly: true }, run);
    await this.#host.runHooks(hooks);
    return result;
  }
}

/** Where a read runs. */
interface Place {
  readonly session: Session;
  readonly isPrimary: boolean;
}
