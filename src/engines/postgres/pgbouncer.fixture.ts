import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { systemClock } from "../../base/index.ts";
import { freePort, newFolder, ownerOf, pathOf, startServer, sweepLeftovers } from "./process.fixture.ts";

/** A PgBouncer before a server, for tests. */
export interface TestPgBouncer {
  /** With `pooler=transaction`, and no `direct`. The same user, password and database as the server's. */
  readonly url: URL;
  readonly port: number;
  /** Ends it and removes its folder. */
  dispose(): Promise<void>;
}

export interface TestPgBouncerOptions {
  /** The server: `postgres://user:password@host:port/database`. */
  readonly server: URL;
  /** As in pgbouncer.ini: `{ default_pool_size: "2" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

const folder = pathOf("pgbouncer");
const owner = ownerOf("postgres");
const prefix = "plinth-pgbouncer-";
const startMs = 10_000;

/** Why none can be started here, for `skip`; false when one can. */
export const skipWithoutPgBouncer: string | false =
  folder && owner ? false : 'PgBouncer is not installed: eval "$(scripts/engines.sh up pgbouncer)"';

/** Starts one in transaction mode, on a free port of 127.0.0.1. */
export async function startPgBouncer({ server, settings = {} }: TestPgBouncerOptions): Promise<TestPgBouncer> {
  if (!folder || !owner) throw new Error(String(skipWithoutPgBouncer));
  await sweepLeftovers(prefix);
  const place = await newFolder(prefix, owner);
  const port = await freePort();
  const users = join(place, "users.txt");
  const [user, password] = [decodeURIComponent(server.username), decodeURIComponent(server.password)];
  await writeFile(users, `"${user}" "${password}"\n`);
  const chosen = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: users,
    pool_mode: "transaction",
    max_client_conn: "500",
    server_login_retry: "1",
    ...settings,
  };
  const lines = Object.entries(chosen).map(([name, value]) => `${name} = ${value}`);
  const databases = `[databases]\n* = host=${server.hostname} port=${server.port || "5432"}\n`;
  await writeFile(join(place, "pgbouncer.ini"), `${databases}[pgbouncer]\n${lines.join("\n")}\n`);
  const command = join(folder, "pgbouncer");
  const log = join(place, "server.log");
  const running = await startServer({ owner, command, args: [join(place, "pgbouncer.ini")], log });
  const dispose = async (): Promise<void> => {
    await running.stop("SIGTERM");
    await rm(place, { recursive: true, force: true });
  };
  const url = new URL(server);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  const endsAt = systemClock.now() + startMs;
  while (!(await answers(url))) {
    if (running.ended || systemClock.now() > endsAt) {
      const written = await readFile(log, "utf8");
      await dispose();
      throw new Error(`PgBouncer did not start: ${written.slice(-2_000)}`);
    }
    await sleep(30);
  }
  url.searchParams.set("pooler", "transaction");
  return { url, port, dispose };
}

async function answers(url: URL): Promise<boolean> {
  const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
