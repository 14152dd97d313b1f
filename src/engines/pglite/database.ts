import type { PGlite } from "@electric-sql/pglite";
import { newId, StartError, systemClock } from "../../base/index.ts";
import type {
  AcquireOptions,
  DatabaseDriver,
  DatabaseStats,
  Lease,
  QueryResult,
  Session,
  SqlText,
} from "../../database/index.ts";
import { toDatabaseError } from "../../database/index.ts";
import type { EngineOptions } from "../engine.ts";
import type { Instance, InstanceOptions } from "./instance.ts";
import { closeInstance, openInstance, searchPathText } from "./instance.ts";
import { userCacheFolder } from "./seed.ts";

/**
 * The embedded database: PostgreSQL 18 as WebAssembly in this process, on a directory or in memory. What needs no
 * server: laptops, tests, small single-process apps.
 *
 * **Durability, honestly.** With a directory an acknowledged commit survives the death of the process (SIGKILL
 * included: `durability.test.ts` does it in a loop). It does not survive loss of power or a crash of the machine:
 * PGlite runs with fsync off, and its file layer ignores a sync. In memory nothing survives. The flag says
 * "process-crash" or "none".
 *
 * **One session.** All services of the process share one PGlite and its one session, by turns, first come first
 * served: a transaction keeps everybody else waiting. Serialization failures and deadlocks cannot happen here, so
 * only Postgres shows that a service copes with them.
 *
 * **A running statement cannot be stopped.** It runs on the program's own thread, and while it runs nothing else does:
 * not the deadline's timer, not the server. `statement_timeout` has no effect. A statement whose call ended meanwhile
 * has its result returned; the next one of that call is refused.
 *
 * **One process.** A lock in the directory refuses a second one (`DATA_DIRECTORY_IN_USE`). Limits: 200 callers in the
 * queue; data as large as fits beside 200 MB of memory for the engine itself.
 */
export interface PgliteOptions extends EngineOptions {
  /** Where the data lives; made when absent. Without it the database is in memory. */
  readonly directory?: string;
  /** In memory: drivers of one name in one process share a database. Without it the database is this driver's own. */
  readonly memory?: string;
  /** Callers that may wait for the session. Default 200; the next gets `DATABASE_BUSY`. */
  readonly queueSizeMax?: number;
  /** Where a fresh data directory is cached. Default: the user's cache folder. */
  readonly cacheFolder?: string;
}

const closeGraceMs = 5_000;

export function createPgliteDriver(options: PgliteOptions = {}): DatabaseDriver {
  const instanceOptions: InstanceOptions = {
    directory: options.directory,
    memoryName: options.memory ?? newId(),
    cacheFolder: options.cacheFolder ?? userCacheFolder(),
    queueSizeMax: options.queueSizeMax ?? 200,
    clock: options.clock ?? systemClock,
  };
  return new PgliteDriver(instanceOptions);
}

class PgliteDriver implements DatabaseDriver {
  readonly name = "pglite";
  readonly flags: DatabaseDriver["flags"];
  readonly #options: InstanceOptions;
  #instance: Instance | undefined;
  #opening: Promise<Instance> | undefined;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.flags = {
      concurrentTransactions: false,
      multipleProcesses: false,
      cancelsStatements: false,
      sessionState: true,
      pooled: false,
      durability: options.directory === undefined ? "none" : "process-crash",
    };
  }

  get stats(): DatabaseStats {
    const { queueSizeMax } = this.#options;
    return this.#instance?.queue.stats ?? { open: 0, idle: 0, waiting: 0, size: 1, queueSizeMax };
  }

  async open(): Promise<void> {
    this.#opening ??= openInstance(this.#options);
    try {
      this.#instance = await this.#opening;
    } catch (thrown) {
      this.#opening = undefined;
      if (thrown instanceof StartError) throw thrown;
      const where = this.#options.directory ?? "memory";
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      throw new StartError(
        "DATABASE_UNAVAILABLE",
        `embedded database (${where}): did not start: ${message}. Check that the directory can be written and holds the ` +
          "data of this PGlite version; a new, empty directory always works.",
        { cause: thrown },
      );
    }
  }

  async acquire({ schema, timeoutMs, context }: AcquireOptions): Promise<Session> {
    const instance = this.#instance;
    if (!instance) throw unavailable("it was not opened");
    if (instance.broken) throw unavailable("the engine crashed: restart the process", instance.broken);
    const lease = await instance.queue.acquire({ tag: schema, timeoutMs, context });
    const session = new PgliteSession(instance, lease);
    if (lease.lastTag === schema) return session;
    try {
      await session.script(searchPathText(schema));
      return session;
    } catch (thrown) {
      session.release();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    if (!this.#opening) return;
    await this.#opening.catch(() => {});
    this.#opening = undefined;
    if (!this.#instance) return;
    this.#instance = undefined;
    await closeInstance(this.#options, closeGraceMs);
  }
}

/** What the end of a session would take with it. */
const ended = "select pg_advisory_unlock_all(); reset statement_timeout; reset lock_timeout";

class PgliteSession implements Session {
  readonly #instance: Instance;
  readonly #lease: Lease<PGlite>;
  #released = false;

  constructor(instance: Instance, lease: Lease<PGlite>) {
    this.#instance = instance;
    this.#lease = lease;
  }

  async query(text: string, values: readonly SqlText[]): Promise<QueryResult> {
    try {
      const {
        rows,
        rowCount = 0,
        command = "",
        fields,
      } = await this.#lease.resource.query<Record<string, unknown>>(text, [...values]);
      return { rows, rowCount, command, fields: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })) };
    } catch (thrown) {
      throw this.#explain(thrown, text);
    }
  }

  async script(text: string): Promise<void> {
    try {
      await this.#lease.resource.exec(text);
    } catch (thrown) {
      throw this.#explain(thrown, text);
    }
  }

  release(broken = false): void {
    if (this.#released) return;
    this.#released = true;
    const pglite = this.#lease.resource;
    const done = (): void => this.#lease.release(false);
    // Whoever left a transaction open does not leave it to the next; nor locks and limits, where there is no session to end.
    const text = `${pglite.isInTransaction() ? "rollback;" : ""}${broken ? ended : ""}`;
    if (this.#instance.broken || text === "") done();
    else pglite.exec(text).then(done, done);
  }

  #explain(thrown: unknown, text: string): Error {
    if (isCrash(thrown)) {
      this.#instance.broken = thrown;
      return unavailable("the engine crashed: restart the process", thrown);
    }
    return toDatabaseError(thrown, text);
  }
}

/** PostgreSQL's own errors have a SQLSTATE; anything else came out of WebAssembly, which is then in no known state. */
function isCrash(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === "RuntimeError" || thrown.name === "ExitStatus");
}

function unavailable(message: string, cause?: unknown): Error {
  return toDatabaseError({ code: "57P03", message: `pglite: ${message}`, cause });
}
