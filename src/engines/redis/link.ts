import { isIP } from "node:net";
import type { RedisAddress, RedisNode } from "./address.ts";

/** The part of `@redis/client` that is used. */
export interface ClientLibrary {
  createClient(options: object): Client;
  createCluster(options: object): Cluster;
}

export interface Client {
  readonly isReady: boolean;
  connect(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channels: readonly string[], listener: (message: string, channel: string) => void): Promise<unknown>;
  close(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (thrown: unknown) => void): unknown;
}

interface Cluster {
  connect(): Promise<unknown>;
  sendCommand(firstKey: string | undefined, isReadonly: boolean, args: readonly string[]): Promise<unknown>;
  close(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (thrown: unknown) => void): unknown;
}

/** The way to the servers that an address stands for. Connects once; what comes then is in the class that keeps it. */
export interface Link {
  readonly isReady: boolean;
  connect(): Promise<void>;
  /** `slotKey` says which node of a cluster has it. */
  send(args: readonly string[], slotKey: string | undefined): Promise<unknown>;
  close(): Promise<unknown>;
  destroy(): void;
}

export interface LinkOptions {
  readonly library: ClientLibrary;
  readonly address: RedisAddress;
  /** How this process appears in CLIENT LIST. */
  readonly name: string;
  /** Milliseconds to wait before an attempt, counted from 1. */
  readonly jitterMs: (attempt: number) => number;
  /** The connection was lost, and does not come back by itself. */
  readonly onEnd: () => void;
}

const connectMsMax = 2000;
const silenceMsMax = 2000;
const commandsMax = 10_000;

export function createLink(options: LinkOptions): Link {
  return options.address.kind === "cluster" ? clusterLink(options) : serverLink(options);
}

/** A connection to one server. It is made again by itself where the server stays where it is. */
function serverLink({ library, address, name, jitterMs, onEnd }: LinkOptions): Link {
  let client: Client | undefined;
  let isMade = false;
  let isOver = false;
  const isFixed = address.kind === "server";
  const reconnectStrategy = (retries: number): number | false => {
    if (isMade && isFixed) return jitterMs(retries + 1);
    if (isMade && !isOver) queueMicrotask(onEnd);
    return false;
  };
  return {
    get isReady() {
      return client?.isReady ?? false;
    },
    async connect() {
      const node = isFixed ? (address.nodes[0] as RedisNode) : await findPrimary(library, address, name);
      if (isOver) throw new Error("closed");
      client = library.createClient(clientOptions(address, node, name, reconnectStrategy));
      // Without a listener a lost connection would end the process. Each command that it costs fails on its own.
      client.on("error", () => {});
      await client.connect();
      if (!isFixed) await assertPrimary(client, node);
      isMade = true;
    },
    send: (args) => (client as Client).sendCommand(args),
    async close() {
      isOver = true;
      await client?.close();
    },
    destroy() {
      isOver = true;
      client?.destroy();
    },
  };
}

/** The client follows the slots by itself, and makes lost connections again. */
function clusterLink({ library, address, name, jitterMs }: LinkOptions): Link {
  const { nodes } = address;
  const shared = clientOptions(address, undefined, name, (retries) => jitterMs(retries + 1));
  const cluster = library.createCluster({
    RESP: 2,
    rootNodes: nodes.map((node) => ({ ...shared, socket: socketOptions(address, node, () => false) })),
    defaults: shared,
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  });
  cluster.on("error", () => {});
  let isReady = false;
  return {
    get isReady() {
      return isReady;
    },
    async connect() {
      await cluster.connect();
      isReady = true;
    },
    send: (args, slotKey) => cluster.sendCommand(slotKey, false, args),
    close: () => cluster.close(),
    destroy() {
      isReady = false;
      cluster.destroy();
    },
  };
}

/**
 * One more connection to a server that `address` stands for: for a cluster, to one of the nodes in turn. It ends when
 * nothing was said on it for 2 s, be it while it is being made.
 */
export async function connectOnce(
  { library, address, name }: Pick<LinkOptions, "library" | "address" | "name">,
  turn: number,
): Promise<Client> {
  const { nodes, kind } = address;
  const node =
    kind === "sentinel" ? await findPrimary(library, address, name) : (nodes[turn % nodes.length] as RedisNode);
  const options = clientOptions(address, node, name, () => false);
  const client = library.createClient({ ...options, socket: { ...options.socket, socketTimeout: silenceMsMax } });
  client.on("error", () => {});
  await client.connect();
  return client;
}

function clientOptions(
  address: RedisAddress,
  node: RedisNode | undefined,
  name: string,
  reconnectStrategy: (retries: number) => number | false,
): object & { readonly socket: object } {
  const { username, password, database, kind } = address;
  const options = {
    RESP: 2,
    name,
    ...(kind !== "cluster" && { database }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    commandsQueueMaxLength: commandsMax,
    maintNotifications: "disabled",
    socket: socketOptions(address, node, reconnectStrategy),
  };
  return options;
}

function socketOptions(
  { tls }: RedisAddress,
  node: RedisNode | undefined,
  reconnectStrategy: (retries: number) => number | false,
): object {
  return {
    ...node,
    ...(tls && { tls: true, ...(node && !isIP(node.host) && { servername: node.host }) }),
    connectTimeout: connectMsMax,
    reconnectStrategy,
  };
}

/** Asks the sentinels in turn, until one knows. */
async function findPrimary(library: ClientLibrary, address: RedisAddress, name: string): Promise<RedisNode> {
  let failure: unknown = new Error(`no sentinel knows a primary named ${address.primaryName}`);
  for (const node of address.nodes) {
    const sentinel = library.createClient({
      RESP: 2,
      name,
      ...(address.sentinelPassword !== undefined && { password: address.sentinelPassword }),
      disableOfflineQueue: true,
      maintNotifications: "disabled",
      socket: { ...socketOptions(address, node, () => false), socketTimeout: silenceMsMax },
    });
    sentinel.on("error", () => {});
    try {
      await sentinel.connect();
      const reply = await sentinel.sendCommand(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.primaryName as string]);
      if (Array.isArray(reply)) return { host: String(reply[0]), port: Number(reply[1]) };
    } catch (thrown) {
      failure = thrown;
    } finally {
      sentinel.destroy();
    }
  }
  throw failure;
}

/** For a moment after a failover, a sentinel may still name the old primary. */
async function assertPrimary(client: Client, { host, port }: RedisNode): Promise<void> {
  const reply = await client.sendCommand(["ROLE"]);
  if (Array.isArray(reply) && String(reply[0]) === "master") return;
  client.destroy();
  throw new Error(`${host}:${port} is not the primary any more`);
}
