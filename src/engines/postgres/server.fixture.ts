import { existsSync, readdirSync } from "node:fs";
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { systemClock } from "../../base/index.ts";
import type { Owner, Server } from "./process.fixture.ts";
import {
  childrenOf,
  freePort,
  newFolder,
  ownerOf,
  pathOf,
  runAs,
  signal,
  startServer,
  sweepLeftovers,
} from "./process.fixture.ts";

/** A real PostgreSQL server in a temporary folder, for tests that stop, start, pause or copy it. */
export interface TestPostgres {
  /** As superuser `plinth`, database `plinth`. The port stays the same over `stop` and `start`. */
  readonly url: URL;
  readonly port: number;
  /** Of the postmaster; undefined while it is stopped. */
  readonly pid: number | undefined;
  /** The URL with another database, which is made when it is missing. */
  database(name: string): Promise<URL>;
  /** On a connection of its own. The rows of the last statement. */
  adminQuery<Row = Record<string, any>>(text: string): Promise<Row[]>;
  /** "immediate" is a crash: no checkpoint, recovery at the next start. "fast" rolls back and ends in order. */
  stop(mode?: "immediate" | "fast"): Promise<void>;
  /** With these settings besides those it has; resolves when it answers. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Settings that need no restart, for all sessions. */
  set(settings: Readonly<Record<string, string>>): Promise<void>;
  /** SIGSTOP for every process of it: sockets stay open, nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Makes a replica a primary. */
  promote(): Promise<void>;
  /** Of a replica: until it has replayed what its primary had written when this was called. */
  caughtUp(): Promise<void>;
  /** Ends all client connections but its own; how many they were. */
  terminateConnections(): Promise<number>;
  /** Ends it, whatever its state, and removes its folder. May be called twice. */
  dispose(): Promise<void>;
}

export interface TestPostgresOptions {
  /** As in postgresql.conf: `{ max_connections: "20", recovery_min_apply_delay: "2s" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Makes it a streaming replica of this one. */
  readonly replicaOf?: TestPostgres;
}

/** Where initdb and postgres are: Debian keeps them out of PATH. */
function binaries(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const debian = versions
    .map((version) => join(root, version, "bin"))
    .find((folder) => existsSync(join(folder, "initdb")));
  return debian ?? pathOf("initdb");
}

const bin = binaries();
const owner: Owner | undefined = ownerOf("postgres");

/** Why no server can be started here, for `skip`; false when one can. */
export const skipWithoutPostgresBinaries: string | false = bin
  ? owner
    ? false
    : "PostgreSQL does not run as root, and there is no user postgres: useradd --system postgres"
  : 'PostgreSQL is not installed (no initdb): eval "$(scripts/engines.sh up postgres)"';

const startMs = 30_000;
const prefix = "plinth-postgres-";

/** Starts one. Fsync is on unless told otherwise; there is no Unix socket. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  if (!bin || !owner) throw new Error(String(skipWithoutPostgresBinaries));
  await sweepLeftovers(prefix);
  const folder = await newFolder(prefix, owner);
  const server = new PostgresServer(folder, await freePort(), { bin, owner, ...options });
  try {
    await server.create();
    await server.start();
    return server;
  } catch (thrown) {
    await server.dispose();
    throw thrown;
  }
}

class PostgresServer implements TestPostgres {
  readonly url: URL;
  readonly port: number;
  readonly #folder: string;
  readonly #data: string;
  readonly #options: TestPostgresOptions & { readonly bin: string; readonly owner: Owner };
  #server: Server | undefined;

  constructor(folder: string, port: number, options: TestPostgresOptions & { bin: string; owner: Owner }) {
    this.#folder = folder;
    this.#data = join(folder, "data");
    this.#options = options;
    this.port = port;
    this.url = new URL(`postgres://plinth:plinth@127.0.0.1:${port}/plinth`);
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async create(): Promise<void> {
    const { bin, owner, replicaOf, settings = {} } = this.#options;
    const password = join(this.#folder, "password");
    await writeFile(password, "plinth\n", { mode: 0o644 });
    const env = { PGPASSWORD: "plinth" };
    if (replicaOf) {
      const source = ["-h", "127.0.0.1", "-p", String(replicaOf.port), "-U", "plinth", "-w"];
      const how = ["-D", this.#data, "-R", "-X", "stream", "-c", "fast", "--no-sync"];
      await runAs(owner, join(bin, "pg_basebackup"), [...source, ...how], env);
    } else {
      const how = ["-U", "plinth", "--auth=scram-sha-256", `--pwfile=${password}`, "-E", "UTF8", "--locale=C"];
      await runAs(owner, join(bin, "initdb"), ["-D", this.#data, ...how, "--no-sync"], env);
    }
    const fixed = {
      port: String(this.port),
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      max_connections: "100",
      shared_buffers: "16MB",
      log_min_messages: "warning",
    };
    await this.#write({ ...fixed, ...settings });
  }

  /** The last value of a setting in the file holds. */
  async #write(settings: Readonly<Record<string, string>>): Promise<void> {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
    await appendFile(join(this.#data, "postgresql.conf"), lines.join(""));
  }

  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#server) return;
    const { bin, owner } = this.#options;
    await this.#write(settings);
    const log = join(this.#folder, "server.log");
    const server = await startServer({ owner, command: join(bin, "postgres"), args: ["-D", this.#data], log });
    this.#server = server;
    const endsAt = systemClock.now() + startMs;
    for (;;) {
      try {
        await this.#query("postgres", "select 1");
        break;
      } catch (thrown) {
        if (server.ended || systemClock.now() > endsAt) {
          const written = await readFile(log, "utf8").catch(() => "");
          throw new Error(`PostgreSQL did not start (${thrown}): ${written.slice(-2_000)}`);
        }
        await sleep(30);
      }
    }
    if (!this.#options.replicaOf) await this.database("plinth");
  }

  async database(name: string): Promise<URL> {
    const found = await this.#query("postgres", `select 1 from pg_database where datname = '${name}'`);
    if (found.length === 0) await this.#query("postgres", `create database "${name}"`);
    const url = new URL(this.url);
    url.pathname = `/${name}`;
    return url;
  }

  adminQuery<Row>(text: string): Promise<Row[]> {
    return this.#query("plinth", text) as Promise<Row[]>;
  }

  async #query(database: string, text: string): Promise<Record<string, unknown>[]> {
    const address = { host: "127.0.0.1", port: this.port, user: "plinth", password: "plinth", database };
    const client = new pg.Client({ ...address, application_name: "plinth-admin", connectionTimeoutMillis: 2_000 });
    client.on("error", () => {});
    await client.connect();
    try {
      const result = (await client.query(text)) as pg.QueryResult | pg.QueryResult[];
      return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
    } finally {
      await client.end().catch(() => {});
    }
  }

  async stop(mode: "immediate" | "fast" = "fast"): Promise<void> {
    await this.#server?.stop(mode === "fast" ? "SIGINT" : "SIGQUIT");
    this.#server = undefined;
  }

  async set(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#write(settings);
    await this.adminQuery("select pg_reload_conf()");
    await sleep(50);
  }

  async pause(): Promise<void> {
    await this.#signal("SIGSTOP");
  }

  async resume(): Promise<void> {
    await this.#signal("SIGCONT");
  }

  /** The postmaster first, so that it makes no child meanwhile; its children have process groups of their own. */
  async #signal(how: NodeJS.Signals): Promise<void> {
    const pid = this.pid;
    if (pid === undefined) throw new Error("the server is not running");
    signal(pid, how);
    for (const child of await childrenOf(pid)) signal(child, how);
  }

  async promote(): Promise<void> {
    await this.adminQuery("select pg_promote(true, 30)");
  }

  async caughtUp(): Promise<void> {
    const primary = this.#options.replicaOf;
    if (!primary) throw new Error("a primary has nobody to catch up with");
    const [written] = await primary.adminQuery<{ at: string }>("select pg_current_wal_lsn()::text as at");
    const text = `select coalesce(pg_last_wal_replay_lsn() >= '${written?.at}', false) as done`;
    const endsAt = systemClock.now() + startMs;
    while (!(await this.adminQuery<{ done: boolean }>(text))[0]?.done) {
      if (systemClock.now() > endsAt) throw new Error("the replica did not catch up");
      await sleep(20);
    }
  }

  async terminateConnections(): Promise<number> {
    const where = "backend_type = 'client backend' and pid <> pg_backend_pid()";
    return (await this.adminQuery(`select pg_terminate_backend(pid) from pg_stat_activity where ${where}`)).length;
  }

  async dispose(): Promise<void> {
    if (this.#server) {
      await this.resume().catch(() => {});
      await this.stop("immediate");
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
