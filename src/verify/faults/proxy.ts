import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { Clock, Random } from "../../base/index.ts";
import { StartError, systemClock, systemRandom } from "../../base/index.ts";
import type { FaultCounts } from "./counts.ts";
import { createTally } from "./counts.ts";
import type { LineReader, LineReaderOptions } from "./exchange.ts";
import type { FaultScope, Faults } from "./fault.ts";
import { checkFaults } from "./fault.ts";
import { createHttpLine } from "./http-line.ts";
import { Link } from "./link.ts";
import { createPostgresLine } from "./postgres-line.ts";
import { createRedisLine } from "./redis-line.ts";
import { reset } from "./reset.ts";
import { createRpcLine } from "./rpc-line.ts";
import type { FaultHit, FaultRule, LineProtocol } from "./rule.ts";
import { createRuleBook } from "./rule.ts";

/**
 * A TCP proxy that breaks things: it stands between a client and a server, and does to their connections what networks,
 * kernels and dying machines do. It needs no privilege, so it works on any laptop.
 *
 * Promises: faults are switched while connections live. Bytes that arrive, arrive in order and once; a connection that
 * lives never misses any (a black hole keeps them back). A sender is made to wait when the other side does not read: one
 * direction of one connection holds 1 MiB at most. What a fault did is counted, so that a run in which none bit can be
 * told from one in which everything held.
 *
 * Rules (`rule.ts`) know a protocol: they let a COMMIT through and cut off its reply. Where a line is encrypted they see
 * nothing, and `unreadConnections` says so.
 *
 * Not promised: packet loss and reordering below TCP, which TCP hides; exact times, since it shares a processor with
 * what it disturbs. In one process with the app it shares the event loop too: `spawnFaultProxy` does not.
 */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** The same URL, by way of the proxy. */
  address(url: string): string;
  /** Replaces the faults of the connections that there are, of those that come, or of both (the default). */
  set(faults: Faults, scope?: FaultScope): Promise<void>;
  /** Adds a rule. StartError FAULT_INVALID when the protocol of the proxy cannot have it. */
  plan(rule: FaultRule): Promise<void>;
  /** No faults, no rules. Connections that were silenced or left half open stay so, until `reset`. */
  clear(): Promise<void>;
  /** Resets every connection; answers how many. */
  reset(): Promise<number>;
  /** One side of every connection is gone without a word, the other is kept and hears nothing. Answers how many. */
  halfOpen(keep?: "client" | "target"): Promise<number>;
  /** New connections go there. */
  retarget(target: FaultTarget): Promise<void>;
  counts(): Promise<FaultCounts>;
  /** What rules did, oldest first, at most 10,000. */
  hits(): Promise<readonly FaultHit[]>;
  close(): Promise<void>;
}

export interface FaultTarget {
  readonly host: string;
  readonly port: number;
}

export interface FaultProxyOptions {
  readonly target: FaultTarget;
  /** Lets rules be planned. */
  readonly protocol?: LineProtocol;
  /** Where the proxy listens. Default: a free port on 127.0.0.1. */
  readonly port?: number;
  /** More are reset at once, and count as refusals. Default 10,000. */
  readonly connectionsMax?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

const lines: Readonly<Record<LineProtocol, (options: LineReaderOptions) => LineReader>> = {
  postgres: createPostgresLine,
  redis: createRedisLine,
  http: createHttpLine,
  rpc: createRpcLine,
};

/** Starts to listen on 127.0.0.1. */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { protocol, clock = systemClock, random = systemRandom, connectionsMax = 10_000 } = options;
  const tally = createTally();
  const book = createRuleBook(protocol);
  const links = new Set<Link>();
  let target = options.target;
  let faults: Faults = {};
  let server: Server | undefined;
  let port = options.port ?? 0;

  const accept = (client: Socket): void => {
    tally.connections++;
    if (faults.refuse === "reset" || links.size >= connectionsMax) {
      tally.refusals++;
      tally.affectedConnections++;
      client.on("error", () => {});
      reset(client);
      return;
    }
    const upstream = connect({ ...target, noDelay: true, allowHalfOpen: true });
    const line = protocol && lines[protocol];
    const read =
      line && ((lineOptions: Omit<LineReaderOptions, "judge">) => line({ ...lineOptions, judge: book.judge }));
    const link = new Link({
      client,
      target: upstream,
      faults,
      read,
      tally,
      clock,
      random,
      onClose: () => links.delete(link),
    });
    links.add(link);
  };
  const listen = async (): Promise<void> => {
    const made = createServer({ noDelay: true, allowHalfOpen: true }, accept);
    await new Promise<void>((resolve, reject) => {
      made.once("error", (cause) =>
        reject(
          new StartError("FAULT_PROXY_PORT", `the fault proxy cannot listen on 127.0.0.1:${port}; name another port`, {
            cause,
          }),
        ),
      );
      made.listen(port, "127.0.0.1", resolve);
    });
    port = (made.address() as AddressInfo).port;
    server = made;
  };
  const closeDoor = (): void => {
    server?.close();
    server = undefined;
  };
  const set = async (next: Faults, scope: FaultScope = "all"): Promise<void> => {
    checkFaults(next);
    if (scope !== "new") for (const link of links) link.setFaults(next);
    if (scope === "existing") return;
    faults = next;
    if (next.refuse === "closed") closeDoor();
    else if (!server) await listen();
  };
  const onAll = async (act: (link: Link) => void): Promise<number> => {
    const all = [...links];
    for (const link of all) act(link);
    return all.length;
  };

  await listen();
  return {
    host: "127.0.0.1",
    port,
    address: (url) => throughProxy(url, port),
    set,
    plan: async (rule) => book.add(rule),
    async clear() {
      book.clear();
      await set({});
    },
    reset: () => onAll((link) => link.reset()),
    halfOpen: (keep = "client") => onAll((link) => link.halfOpen(keep)),
    async retarget(next) {
      target = next;
    },
    counts: async () => ({ ...structuredClone(tally), openConnections: links.size }),
    hits: async () => [...book.hits],
    async close() {
      closeDoor();
      for (const link of [...links]) link.end();
    },
  };
}

/** The same URL with the proxy's host and port. */
export function throughProxy(url: string, port: number): string {
  const changed = new URL(url);
  changed.hostname = "127.0.0.1";
  changed.port = String(port);
  return changed.href;
}
