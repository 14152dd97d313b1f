import type { Socket } from "node:net";
import { connect } from "node:net";
import type { CallScope, JsonSchema, ScopeFields } from "../base/index.ts";
import { anonymous, createDeadlines, CallScope as Scope, systemClock } from "../base/index.ts";
import type { RpcClient, RpcClientOptions } from "./client.ts";
import { createRpcClient } from "./client.ts";
import type { RpcServerMethod } from "./method.ts";
import type { RpcServer, RpcServerOptions } from "./server.ts";
import { createRpcServer } from "./server.ts";

/** For this room's tests: servers and clients on 127.0.0.1, which `close` ends. */
export const secret = "a secret for tests only";

const deadlines = createDeadlines(systemClock);

export function scope(fields: Partial<ScopeFields> & { remainingMs?: number } = {}): CallScope {
  const { remainingMs = 5000, ...rest } = fields;
  return new Scope({
    principal: anonymous,
    deadline: systemClock.now() + remainingMs,
    caller: "test",
    deadlines,
    ...rest,
  });
}

export const text: JsonSchema = { type: "object", required: ["text"], properties: { text: { type: "string" } } };
export const count: JsonSchema = { type: "object", required: ["n"], properties: { n: { type: "integer" } } };

/** A unary method with `text` both ways. */
export function unary(id: string, call: NonNullable<RpcServerMethod["call"]>): RpcServerMethod {
  return { id, kind: "unary", request: text, response: text, call };
}

/** A stream of counts. */
export function stream(id: string, run: NonNullable<RpcServerMethod["stream"]>): RpcServerMethod {
  return { id, kind: "stream", request: count, response: count, stream: run };
}

export interface Peers {
  server(
    methods: readonly RpcServerMethod[],
    options?: Partial<RpcServerOptions>,
  ): Promise<RpcServer & { address: string; port: number }>;
  client(
    addresses: readonly string[],
    methods: readonly RpcServerMethod[],
    options?: Partial<RpcClientOptions>,
  ): RpcClient;
  socket(port: number): Promise<Socket & { received: Buffer[] }>;
  close(): Promise<void>;
}

export function peers(): Peers {
  const closing: (() => unknown)[] = [];
  return {
    async server(methods, options = {}) {
      const server = createRpcServer({ name: "server", port: 0, secret, methods, ...options });
      const { port } = await server.start();
      closing.push(() => server.stop());
      return Object.assign(server, { address: `127.0.0.1:${port}`, port });
    },
    client(addresses, methods, options = {}) {
      const client = createRpcClient({ name: "test", addresses, secret, methods, ...options });
      closing.unshift(() => client.close());
      return client;
    },
    socket(port) {
      return new Promise((resolve, reject) => {
        const received: Buffer[] = [];
        const socket = connect({ host: "127.0.0.1", port }, () => resolve(Object.assign(socket, { received })));
        socket.on("data", (chunk) => received.push(chunk));
        socket.on("error", reject);
        closing.unshift(() => socket.destroy());
      });
    },
    async close() {
      for (const close of closing.splice(0)) await close();
    },
  };
}

/** A promise with its handles. */
export function gate<T = void>(): { promise: Promise<T>; open(value: T): void } {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Waits until `holds`, at most two seconds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let left = 200; !holds(); left--) {
    if (left === 0) throw new Error(`did not come to hold: ${holds}`);
    await systemClock.sleep(10);
  }
}
