import { connect as connectSocket, type Socket } from "node:net";
import { join } from "node:path";
import type { Client, ClientConfig } from "pg";
import type { Clock, PlinthError } from "../../base/index.ts";
import { error } from "../../base/index.ts";
import { parserOf, quoteName, toDatabaseError, withExecuted } from "../../database/index.ts";
import type { Address } from "./address.ts";
import type { Renewal } from "./prepared.ts";
import { PreparedStatements } from "./prepared.ts";

/** One connection to a server, and what ends it or the statement on it. */
export interface Connection {
  readonly client: Client;
  /** What its unqualified names mean now; undefined where that is not known. */
  schema: string | undefined;
  /** The statements that it knows by name. */
  readonly prepared: PreparedStatements;
  readonly renewal: Renewal;
  /** Why it cannot be used any more. */
  dead: unknown;
  /** Asks the server to cancel what runs. Resolves when the server has taken the request, or after 1 s. */
  cancel(): Promise<void>;
  /** Says goodbye, when it can. */
  end(): Promise<void>;
  /** Cuts it off at once. */
  destroy(): void;
}

export interface ConnectOptions {
  readonly address: Address;
  readonly clock: Clock;
  readonly applicationName: string;
  readonly schema: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly idleInTransactionMs: number;
  /** One for all connections to a server. */
  readonly renewal: Renewal;
  /** Called once when it breaks. */
  readonly onDead: (connection: Connection) => void;
}

const keepAliveMs = 10_000;
const cancelTimeoutMs = 1_000;
const endTimeoutMs = 1_000;

/** The parts of `pg`'s client that its types leave out. */
interface ClientInternals {
  readonly connection: { readonly stream: Socket };
  readonly processID: number | null;
  readonly secretKey: number | null;
}

export async function connect(options: ConnectOptions): Promise<Connection> {
  const { address, clock } = options;
  const { default: pg } = await import("pg");
  const client = new pg.Client({
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    ssl: address.tls === false ? false : { ...address.tls },
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    // A pooler passes none of these on: there they come with each transaction (prelude.ts).
    ...(address.pooled ? {} : sessionSettings(options)),
    types: { getTypeParser: (typeId: number) => parserOf(typeId) as never },
  });
  const internals = client as unknown as ClientInternals;
  const connection: Connection = {
    client,
    schema: address.pooled ? undefined : options.schema,
    prepared: new PreparedStatements(clock, options.renewal),
    renewal: options.renewal,
    dead: undefined,
    cancel: () => requestCancel(address, internals, clock),
    end: () => withinTime(clock, endTimeoutMs, client.end(), () => internals.connection.stream.destroy()),
    destroy: () => void internals.connection.stream.destroy(),
  };
  const onDead = (reason: unknown): void => {
    if (connection.dead !== undefined) return;
    connection.dead = reason;
    options.onDead(connection);
  };
  // An idle connection that breaks emits this; unheard, it would end the process.
  client.on("error", onDead);
  client.on("end", () => onDead(new Error("Connection terminated")));
  try {
    await client.connect();
    return connection;
  } catch (thrown) {
    connection.destroy();
    throw noConnection(toDatabaseError(thrown));
  }
}

function sessionSettings({ schema, statementTimeoutMs, idleInTransactionMs }: ConnectOptions): ClientConfig {
  return {
    // The server's own limits: they hold when this process is gone or hangs.
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    options: `-c search_path=${quoteName(schema)},public -c timezone=UTC -c datestyle=ISO`,
  };
}

/** Without a connection nothing was done. What is no word of the server's is about the way to it: TLS, names. */
function noConnection(failed: PlinthError): PlinthError {
  if (failed.reason !== "DATABASE_ERROR") return withExecuted(failed, "no");
  const { detail, cause } = failed;
  const options = { reason: "DATABASE_UNAVAILABLE", executed: "no", retry: "never", detail, cause } as const;
  return error("unavailable", "The database cannot be reached.", options);
}

/**
 * PostgreSQL's CancelRequest (documentation, 55.2.8): a connection of its own that carries process and key, and needs
 * no login. The server closes it once the request is passed on.
 */
function requestCancel(address: Address, { processID, secretKey }: ClientInternals, clock: Clock): Promise<void> {
  if (processID === null || secretKey === null) return Promise.resolve();
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(80877102, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  const { host, port } = address;
  const socket = host.startsWith("/") ? connectSocket(join(host, `.s.PGSQL.${port}`)) : connectSocket(port, host);
  const closed = new Promise<void>((resolve) => {
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
    socket.on("connect", () => socket.write(message));
    socket.resume();
  });
  return withinTime(clock, cancelTimeoutMs, closed, () => void socket.destroy());
}

/** `work`, but not longer than `timeoutMs`: then `late` runs and it is over. Its failure is of no interest. */
function withinTime(clock: Clock, timeoutMs: number, work: Promise<unknown>, late: () => void): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.after(timeoutMs, () => {
      late();
      resolve();
    });
    const done = (): void => {
      stop();
      resolve();
    };
    work.then(done, done);
  });
}
