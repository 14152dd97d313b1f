import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Clock, Deadlines, PlinthError, Random } from "../base/index.ts";
import { createDeadlines, StartError, systemClock, systemRandom } from "../base/index.ts";
import type { Overload } from "../resilience/index.ts";
import { createLane } from "../resilience/index.ts";
import { frameBytesMax } from "../wire/index.ts";
import { Connection } from "./connection.ts";
import { handshakeTimeout, serverStopped } from "./errors.ts";
import { Greeter } from "./greeter.ts";
import { handshakeFrameBytes, keysOf, requireFrameBytes } from "./handshake.ts";
import type { RpcLog } from "./log.ts";
import type { RpcServerMethod, TableRow } from "./method.ts";
import { compileMethods, requireHandlers, tableOf } from "./method.ts";
import { frameKind } from "./protocol.ts";
import type { Floor, StartTrace } from "./session.ts";
import { Session } from "./session.ts";
import type { RpcTls } from "./tls.ts";
import { secureContextOf } from "./tls.ts";

export interface RpcServerLimits {
  /** Of one message, both ways, at least 16 KiB. Above: FRAME_TOO_LARGE; each side knows the other's limit. 4 MiB. */
  readonly frameBytes: number;
  /** Connections at once; further ones are closed on arrival. 1,024. */
  readonly connections: number;
  /** Calls in flight, of all connections. Above: RPC_SERVER_BUSY. 4,096. */
  readonly calls: number;
  /** Calls in flight on one connection, so that one client cannot take all. Above: RPC_SERVER_BUSY. 2,048. */
  readonly callsPerConnection: number;
  /** Answers that a client does not take; above, its connection is not read from, and its streams wait. 1 MiB. */
  readonly pendingBytes: number;
  /** From the first byte to the proof of the secret; above, the connection is closed. 5 s. */
  readonly handshakeMs: number;
  /** The period of pings on a silent connection; after two, it is closed. 5 s. */
  readonly keepAliveMs: number;
  /** How long `drain` waits for calls in flight before it cancels them. 20 s. */
  readonly drainMs: number;
}

const defaultLimits: RpcServerLimits = {
  frameBytes: frameBytesMax,
  connections: 1024,
  calls: 4096,
  callsPerConnection: 2048,
  pendingBytes: 1024 * 1024,
  handshakeMs: 5000,
  keepAliveMs: 5000,
  drainMs: 20_000,
};

/** How long a peer may take to receive its last answers and hang up. */
const stopMs = 1000;

export interface RpcServerOptions {
  /** The process, as its peers see it in logs. */
  readonly name: string;
  /** Default "127.0.0.1". Never one that the public can reach. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** At least 16 characters. Several: the first is ours, any is accepted (to change it without a stop). */
  readonly secret: string | readonly string[];
  readonly tls?: RpcTls | undefined;
  readonly methods: readonly RpcServerMethod[];
  readonly clock?: Clock;
  readonly random?: Random;
  readonly deadlines?: Deadlines;
  readonly limits?: Partial<RpcServerLimits>;
  /** Whether the process takes on one more call. Default: as many as `limits` say. */
  readonly overload?: Overload | undefined;
  readonly startTrace?: StartTrace | undefined;
  readonly log?: RpcLog | undefined;
}

export interface RpcServerStats {
  readonly connections: number;
  readonly inFlight: number;
  /** Since the start: calls run, calls refused before they ran, connections that failed the handshake. */
  readonly calls: number;
  readonly refusedCalls: number;
  readonly refusedConnections: number;
}

export interface RpcServer {
  /** Throws StartError RPC_PORT_UNUSABLE. */
  start(): Promise<{ port: number }>;
  /** Tells clients to send no new calls, answers those sent, and ends; after `drainMs` like `stop`. */
  drain(): Promise<void>;
  /** Cancels what runs and closes everything. */
  stop(): Promise<void>;
  readonly stats: RpcServerStats;
}

/**
 * Serves methods to other processes of the app. See protocol.ts for the protocol, handshake.ts for who gets in.
 *
 * Promises: a call refused for its deadline, for lack of room or for a method that is not there has not run (`executed`
 * "no"); a handler that throws costs its call alone; a peer that sends garbage costs its connection alone. Not promised:
 * that requests fit their schema. The handler validates first (the service room does).
 */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  requireHandlers(options.methods);
  const methods = compileMethods(options.methods);
  const clock = options.clock ?? systemClock;
  const limits = { ...defaultLimits, ...options.limits };
  requireFrameBytes(limits.frameBytes);
  return new TcpRpcServer(options, limits, tableOf(methods), {
    methods,
    clock,
    overload: options.overload,
    lanes: options.overload ? methods.map(createLane) : [],
    deadlines: options.deadlines ?? createDeadlines(clock),
    startTrace: options.startTrace,
    callCountMax: limits.calls,
    connectionCallCountMax: limits.callsPerConnection,
    pendingBytesMax: limits.pendingBytes,
    inFlight: 0,
    callCount: 0,
    refusedCount: 0,
  });
}

class TcpRpcServer implements RpcServer {
  readonly #options: RpcServerOptions;
  readonly #limits: RpcServerLimits;
  readonly #table: readonly TableRow[];
  readonly #floor: Floor;
  readonly #keys: readonly Buffer[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Connection>();
  readonly #sessions = new Set<Session>();
  #refusedConnections = 0;
  #isDraining = false;
  #onEmpty: (() => void) | undefined = undefined;

  constructor(options: RpcServerOptions, limits: RpcServerLimits, table: readonly TableRow[], floor: Floor) {
    this.#options = options;
    this.#limits = limits;
    this.#table = table;
    this.#floor = floor;
    this.#keys = keysOf(options.secret);
    const { tls } = options;
    const onSocket = (socket: Socket) => this.#greet(socket);
    if (!tls) this.#server = createServer(onSocket);
    else {
      const isMutual = tls.ca !== undefined;
      const context = secureContextOf(tls, "server");
      this.#server = createTlsServer(
        { ...context, requestCert: isMutual, rejectUnauthorized: isMutual, handshakeTimeout: limits.handshakeMs },
        onSocket,
      );
      this.#server.on("tlsClientError", (cause: Error, socket: Socket) => {
        this.#refused(socket, "RPC_TLS_REFUSED", cause);
        socket.destroy();
      });
    }
    this.#server.maxConnections = limits.connections;
    // Also those that have not come as far as a connection of ours: TLS first.
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  get stats(): RpcServerStats {
    return {
      connections: this.#sessions.size,
      inFlight: this.#floor.inFlight,
      calls: this.#floor.callCount,
      refusedCalls: this.#floor.refusedCount,
      refusedConnections: this.#refusedConnections,
    };
  }

  start(): Promise<{ port: number }> {
    const { host = "127.0.0.1", port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (cause: NodeJS.ErrnoException) => {
        const remedy = cause.code === "EADDRINUSE" ? "it is in use: end its user or choose another" : String(cause);
        reject(new StartError("RPC_PORT_UNUSABLE", `rpc: cannot listen on ${host}:${port}: ${remedy}`, { cause }));
      };
      this.#server.once("error", onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", onError);
        this.#server.on("error", (cause) => this.#options.log?.("warn", "rpc: the listener failed", { cause }));
        resolve({ port: (this.#server.address() as AddressInfo).port });
      });
    });
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#server.close();
    for (const session of this.#sessions) session.connection.send(frameKind.goaway);
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#floor.clock.after(this.#limits.drainMs, resolve);
        this.#onEmpty = () => {
          cancel();
          resolve();
        };
      });
    }
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#isDraining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) {
      for (const call of session.calls.all()) session.sendError(call.id, serverStopped());
      session.cancelAll(serverStopped());
    }
    for (const connection of this.#connections) connection.finish(serverStopped());
    const cancelTimer = this.#floor.clock.after(stopMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    cancelTimer();
  }

  #greet(socket: Socket): void {
    const { clock } = this.#floor;
    let session: Session | undefined;
    const connection: Connection = new Connection({
      socket,
      clock,
      keepAliveMs: this.#limits.keepAliveMs,
      frameBytes: this.#limits.frameBytes,
      handshakeFrameBytes,
      pauseAboveBytes: this.#limits.pendingBytes,
      onFrame: (kind, payload) => (session ?? greeter).onFrame(kind, payload),
      onDrain: () => session?.onDrain(),
      onClose: (reason) => {
        cancelTimer();
        if (!session) this.#refused(socket, reason.reason, reason);
        else {
          session.onClose();
          this.#ended(session, reason);
        }
        this.#forget(connection, session);
      },
    });
    const greeter = new Greeter(connection, {
      name: this.#options.name,
      frameBytes: this.#limits.frameBytes,
      keys: this.#keys,
      table: this.#table,
      random: this.#options.random ?? systemRandom,
      onWelcome: (client) => {
        cancelTimer();
        connection.openUp(client.frameBytes);
        session = new Session(connection, client, this.#floor);
        this.#sessions.add(session);
        if (this.#isDraining) connection.send(frameKind.goaway);
      },
    });
    this.#connections.add(connection);
    const { handshakeMs } = this.#limits;
    const cancelTimer = clock.after(handshakeMs, () => connection.close(handshakeTimeout(handshakeMs)));
  }

  #forget(connection: Connection, session: Session | undefined): void {
    this.#connections.delete(connection);
    if (session) this.#sessions.delete(session);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** Peers that hang up are everyday; ones that break the rules or fall silent are worth a line. */
  #ended(session: Session, { reason, detail, message }: PlinthError): void {
    if (reason === "RPC_CONNECTION_LOST" || reason === "RPC_SERVER_STOPPED") return;
    const peer = session.clientName;
    this.#options.log?.("warn", "rpc: closed a connection", { peer, reason, detail: detail ?? message });
  }

  #refused(socket: Socket, reason: string, cause: Error | PlinthError): void {
    this.#refusedConnections++;
    const detail = "detail" in cause ? cause.detail : cause.message;
    this.#options.log?.("warn", "rpc: refused a connection", { peer: socket.remoteAddress, reason, detail });
  }
}
