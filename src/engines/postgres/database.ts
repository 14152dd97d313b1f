import type { Clock, Random } from "../../base/index.ts";
import { PlinthError, StartError, systemClock, systemRandom } from "../../base/index.ts";
import type { AcquireOptions, DatabaseDriver, DatabaseStats, Pool, Session } from "../../database/index.ts";
import { createPool, createSharing, databaseDetail, toDatabaseError } from "../../database/index.ts";
import type { EngineOptions } from "../engine.ts";
import type { Address } from "./address.ts";
import { parseAddress } from "./address.ts";
import type { Connection } from "./connection.ts";
import { connect } from "./connection.ts";
import { preludeOf } from "./prelude.ts";
import type { Renewal } from "./prepared.ts";
import type { Pooling } from "./session.ts";
import { PostgresSession } from "./session.ts";

/**
 * PostgreSQL 14 or later, through `pg`: the database for production and for several processes.
 *
 * **One pool for a server and process**, however many services use it: 10 connections, and `poolSize` of all processes
 * together must stay below the server's `max_connections`. A connection that last served the same schema is preferred.
 * Connections live 5 minutes at most, and 30 s when idle. A connection that broke, was cut off, or was left inside a
 * transaction is never used again.
 *
 * **Limits at the server as well**: `statement_timeout` and `idle_in_transaction_session_timeout` are set on each
 * connection, a little above the client's, so that they hold when this process hangs.
 *
 * **Round trips.** A transaction's BEGIN, and `set search_path` where the connection last served another schema, go in one
 * write with its first statement, and statements of one turn together (`exchange.ts`). A text that comes for the second time on a
 * connection gets a name there, so that it is parsed and planned once (`prepared.ts`).
 *
 * **Durability** is read from the server when it opens: "power-loss" with fsync, full_page_writes and synchronous_commit
 * on; "process-crash" without one of the first two; "none" with synchronous_commit off, which acknowledges before
 * writing.
 *
 * **Behind PgBouncer in transaction mode** (`?pooler=transaction`) nothing is left on a session: search_path, limits, time
 * zone and date style come with each transaction, in the same round trip; statements that would leave something there are
 * refused (`SESSION_STATE_REFUSED`), statements have no names. What needs a session of its own (migrations) goes past the
 * pooler over `direct=HOST:PORT`, over at most 2 connections; without it `flags.sessionState` is off and `migrate` is
 * refused. Statements that PostgreSQL takes only outside of a transaction need `direct` too.
 */
export interface PostgresOptions extends EngineOptions {
  /** Connections at most, of this process to this server. Default 10; `pool_size` in the URL goes before. */
  readonly poolSize?: number;
  /** Callers that may wait for a connection. Default 200; the next gets `DATABASE_BUSY`. */
  readonly queueSizeMax?: number;
  /** Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** The server's limit for a statement. Default 35,000. */
  readonly statementTimeoutMs?: number;
  /** The server's limit for an idle transaction. Default 35,000. */
  readonly idleInTransactionMs?: number;
  /** How long `open` goes on trying while the server is not there. Default 10,000. */
  readonly startTimeoutMs?: number;
  /** How long a connection is used. Default 300,000. */
  readonly lifetimeMs?: number;
}

const versionMin = 14;
const directPoolSize = 2;
const idleMs = 30_000;
const closeGraceMs = 5_000;
const startRetryMsBase = 100;

export function createPostgresDriver(url: URL, options: PostgresOptions = {}): DatabaseDriver {
  const address = parseAddress(url);
  return new PostgresDriver(address, {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    applicationName: address.applicationName ?? options.applicationName ?? "plinth",
    poolSize: address.poolSize ?? options.poolSize ?? 10,
    queueSizeMax: options.queueSizeMax ?? 200,
    connectTimeoutMs: options.connectTimeoutMs ?? 2_000,
    statementTimeoutMs: options.statementTimeoutMs ?? 35_000,
    idleInTransactionMs: options.idleInTransactionMs ?? 35_000,
    startTimeoutMs: options.startTimeoutMs ?? 10_000,
    lifetimeMs: options.lifetimeMs ?? 300_000,
  });
}

interface Server {
  readonly pool: Pool<Connection>;
  /** Past the pooler, for pinned sessions. */
  readonly direct: Pool<Connection> | undefined;
  readonly durability: DatabaseDriver["flags"]["durability"];
}

type Settings = Required<PostgresOptions> & { readonly clock: Clock; readonly random: Random };

/** One pool for all drivers of a process that mean the same server in the same way. */
const servers = createSharing<Server>();

class PostgresDriver implements DatabaseDriver {
  readonly name = "postgres";
  readonly #address: Address;
  readonly #settings: Settings;
  readonly #key: string;
  /** One for each schema, behind a pooler. */
  readonly #poolings = new Map<string, Pooling>();
  #server: Server | undefined;
  #opening: Promise<Server> | undefined;

  constructor(address: Address, settings: Settings) {
    this.#address = address;
    this.#settings = settings;
    const { clock: _clock, random: _random, ...plain } = settings;
    this.#key = JSON.stringify([address, plain]);
  }

  get flags(): DatabaseDriver["flags"] {
    return {
      concurrentTransactions: true,
      multipleProcesses: true,
      cancelsStatements: true,
      sessionState: !this.#address.pooled || this.#address.direct !== undefined,
      pooled: this.#address.pooled,
      durability: this.#server?.durability ?? "power-loss",
    };
  }

  get stats(): DatabaseStats {
    const { poolSize, queueSizeMax } = this.#settings;
    return this.#server?.pool.stats ?? { open: 0, idle: 0, waiting: 0, size: poolSize, queueSizeMax };
  }

  async open(): Promise<void> {
    this.#opening ??= servers.open(this.#key, () => this.#start());
    try {
      this.#server = await this.#opening;
    } catch (thrown) {
      this.#opening = undefined;
      throw thrown;
    }
  }

  async acquire({ schema, timeoutMs, context, pinned = false }: AcquireOptions): Promise<Session> {
    if (!this.#server)
      throw toDatabaseError({ code: "57P03", message: "postgres: the driver was not opened, or is closed" });
    const { clock } = this.#settings;
    const { pool, direct } = this.#server;
    if (this.#address.pooled && !(pinned && direct)) {
      return new PostgresSession(
        await pool.acquire({ tag: "", timeoutMs, context }),
        clock,
        schema,
        this.#pooling(schema),
      );
    }
    return new PostgresSession(await (direct ?? pool).acquire({ tag: schema, timeoutMs, context }), clock, schema);
  }

  #pooling(schema: string): Pooling {
    let made = this.#poolings.get(schema);
    if (!made) {
      made = { prelude: preludeOf({ ...this.#settings, schema }), direct: this.#address.direct !== undefined };
      this.#poolings.set(schema, made);
    }
    return made;
  }

  async close(): Promise<void> {
    if (!this.#opening) return;
    await this.#opening.catch(() => {});
    this.#opening = undefined;
    if (!this.#server) return;
    this.#server = undefined;
    await servers.close(this.#key, async ({ pool, direct }) => {
      await Promise.all([pool.close(closeGraceMs), direct?.close(closeGraceMs)]);
    });
  }

  async #start(): Promise<Server> {
    const { clock, random, startTimeoutMs } = this.#settings;
    const pool = this.#createPool(this.#address, this.#settings.poolSize);
    const endsAt = clock.now() + startTimeoutMs;
    try {
      for (let attempt = 0; ; attempt++) {
        const delayMs = startRetryMsBase * 2 ** attempt * (0.5 + random.next() / 2);
        try {
          const durability = await this.#inspect(pool);
          return { pool, direct: this.#createDirectPool(), durability };
        } catch (thrown) {
          if (thrown instanceof StartError) throw thrown;
          if (!isPassing(thrown) || clock.now() + delayMs > endsAt) throw this.#unreachable(thrown, attempt + 1);
          await clock.sleep(delayMs);
        }
      }
    } catch (thrown) {
      await pool.close(0);
      throw thrown;
    }
  }

  #createDirectPool(): Pool<Connection> | undefined {
    const { direct } = this.#address;
    return direct && this.#createPool({ ...this.#address, ...direct, pooled: false }, directPoolSize);
  }

  #createPool(address: Address, size: number): Pool<Connection> {
    const { clock, queueSizeMax, lifetimeMs } = this.#settings;
    const renewal: Renewal = { count: 0 };
    const pool: Pool<Connection> = createPool({
      name: "postgres",
      size,
      queueSizeMax,
      idleMs,
      lifetimeMs,
      clock,
      create: (schema) =>
        connect({ ...this.#settings, address, schema, renewal, onDead: (connection) => pool.remove(connection) }),
      // After a cut there is nobody to say goodbye to.
      destroy: async (connection) => (connection.dead === undefined ? connection.end() : connection.destroy()),
    });
    return pool;
  }

  /** Looks at the server once, and keeps the connection for the first caller. */
  async #inspect(pool: Pool<Connection>): Promise<Server["durability"]> {
    const { clock, connectTimeoutMs } = this.#settings;
    const lease = await pool.acquire({ tag: "public", timeoutMs: connectTimeoutMs });
    const session = new PostgresSession(
      lease,
      clock,
      "public",
      this.#address.pooled ? this.#pooling("public") : undefined,
    );
    try {
      const text =
        "select current_setting('server_version_num')::int / 10000 as version, current_setting('server_version') as full, " +
        "current_setting('fsync') as fsync, current_setting('full_page_writes') as pages, " +
        "current_setting('synchronous_commit') as commit";
      const { rows } = await session.query(text, [], { timeoutMs: connectTimeoutMs });
      const found = rows[0] as { version: number; full: string; fsync: string; pages: string; commit: string };
      if (found.version < versionMin) {
        throw new StartError(
          "DATABASE_VERSION",
          `${this.#where()} is PostgreSQL ${found.full}; version ${versionMin} or later is needed: upgrade the server.`,
        );
      }
      if (found.commit === "off") return "none";
      return found.fsync === "on" && found.pages === "on" ? "power-loss" : "process-crash";
    } finally {
      session.release();
    }
  }

  #where(): string {
    const { host, port, database, user } = this.#address;
    return `database ${database ?? user ?? ""} on ${host}:${port}`;
  }

  #unreachable(thrown: unknown, attempts: number): StartError {
    const detail = databaseDetail(thrown);
    const reason = detail?.message ?? (thrown instanceof Error ? thrown.message : String(thrown));
    const remedy =
      remedies[detail?.sqlState ?? ""] ?? "Check that the server runs there and that this machine may reach it.";
    const tried = attempts === 1 ? "" : ` after ${attempts} attempts`;
    return new StartError("DATABASE_UNAVAILABLE", `${this.#where()}: no connection${tried}: ${reason}. ${remedy}`, {
      cause: thrown,
    });
  }
}

/** What waiting can cure: a server that is not there yet, is starting, or is full. */
function isPassing(thrown: unknown): boolean {
  if (!(thrown instanceof PlinthError)) return false;
  return (thrown.code === "unavailable" && thrown.retry !== "never") || thrown.code === "resource_exhausted";
}

const remedies: Readonly<Record<string, string>> = {
  "28P01": "Correct the user or the password in the URL.",
  "28000": "Let this user in from this machine (pg_hba.conf), or correct sslmode in the URL.",
  "3D000": "Create the database, or correct its name in the URL.",
  "53300": "Raise max_connections, or lower pool_size of the processes that use it.",
  ECONNREFUSED: "Start the server, or correct host and port in the URL.",
  ENOTFOUND: "Correct the host in the URL.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "Name the authority that signed the server's certificate in the URL, as sslrootcert.",
  SELF_SIGNED_CERT_IN_CHAIN: "Name the authority that signed the server's certificate in the URL, as sslrootcert.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "Name the authority that signed the server's certificate in the URL, as sslrootcert.",
  ERR_TLS_CERT_ALTNAME_INVALID: "Use a host name that the server's certificate holds, or sslmode=verify-ca.",
};
