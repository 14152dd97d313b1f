import type { RequestListener, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Clock, PlinthError } from "../base/index.ts";
import { createSeededRandom, systemClock } from "../base/index.ts";
import type { Metrics } from "../telemetry/index.ts";
import { createMetrics } from "../telemetry/index.ts";
import type { UpstreamParts } from "./http-upstream.ts";
import { createUpstream } from "./http-upstream.ts";
import type { ForwardAnswer, ForwardRequest, Upstream } from "./upstream.ts";
import type { UpstreamOptions } from "./upstream-options.ts";

/** For this room's tests: targets on 127.0.0.1 and upstreams in front of them, which `close` ends. */
export interface Bench {
  /** An address at which `listener` answers. */
  target(listener: RequestListener): Promise<Target>;
  upstream(options: UpstreamOptions, parts?: Partial<UpstreamParts>): Upstream & Seen;
  close(): Promise<void>;
}

export interface Target {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  /** Requests that came. */
  readonly count: number;
  /** Ends all connections and listens no more. */
  stop(): Promise<void>;
  /** Ends the connections that are open. */
  cut(): void;
}

export interface Seen {
  readonly metrics: Metrics;
  readonly said: string[];
  value(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

export function createBench(clock: Clock = systemClock): Bench {
  const closing: (() => unknown)[] = [];
  return {
    async target(listener) {
      let count = 0;
      const sockets = new Set<Socket>();
      const server = createServer((req, res) => {
        count++;
        listener(req, res);
      });
      server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const cut = () => {
        for (const socket of sockets) socket.destroy();
      };
      const stop = async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        cut();
        await closed;
      };
      closing.push(stop);
      return {
        url: `http://127.0.0.1:${port}`,
        port,
        server,
        stop,
        cut,
        get count() {
          return count;
        },
      };
    },
    upstream(options, parts = {}) {
      const metrics = parts.metrics ?? createMetrics();
      const said: string[] = [];
      const log = (_: string, message: string, fields: object) => said.push(`${message} ${JSON.stringify(fields)}`);
      const random = createSeededRandom(11);
      const upstream = createUpstream("shop", options, { clock, random, metrics, log, ...parts });
      closing.unshift(() => upstream.close());
      const value = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
        const { body } = await metrics.render();
        const wanted = Object.entries({ upstream: "shop", ...labels }).map(([label, text]) => `${label}="${text}"`);
        let sum = 0;
        for (const line of body.split("\n")) {
          if (line.startsWith(`${name}{`) && wanted.every((each) => line.includes(each)))
            sum += Number(line.slice(line.lastIndexOf(" ")));
        }
        return sum;
      };
      return Object.assign(upstream, { metrics, said, value });
    },
    async close() {
      for (const close of closing) await close();
    },
  };
}

/** A request as the gateway makes it, and the handle that cancels it. */
export function requestOf(fields: Partial<ForwardRequest> & { remainingMs?: number; clock?: Clock } = {}) {
  const { remainingMs = 5000, clock = systemClock, ...rest } = fields;
  const listeners = new Set<(reason: PlinthError) => void>();
  const request: ForwardRequest = {
    method: "GET",
    path: "/",
    headers: [],
    body: undefined,
    client: { addresses: ["192.0.2.7"], proto: "https", host: "shop.example" },
    deadline: clock.now() + remainingMs,
    onCancel(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    ...rest,
  };
  const cancel = (reason: PlinthError) => {
    for (const listener of listeners) listener(reason);
  };
  return Object.assign(request, { cancel, listeners });
}

export async function textOf(body: Readable | undefined): Promise<string> {
  let text = "";
  if (body) for await (const chunk of body) text += chunk;
  return text;
}

/** The answer, read to its end. */
export async function ask(upstream: Upstream, fields?: Parameters<typeof requestOf>[0]) {
  const answer = await upstream.forward(requestOf(fields));
  return { ...answer, text: await textOf(answer.body) };
}

export function headersOf({ headers }: Pick<ForwardAnswer, "headers">): Record<string, string> {
  const found: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    found[name] = found[name] === undefined ? (headers[i + 1] as string) : `${found[name]} | ${headers[i + 1]}`;
  }
  return found;
}
