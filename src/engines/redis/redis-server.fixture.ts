import type { ChildProcess } from "node:child_process";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../base/index.ts";

/** A Redis server of a test's own, which may be paused, killed and filled up. */
export interface RedisServer {
  readonly port: number;
  readonly url: URL;
  /** Sends a command and gives the raw reply, or what came of it in 2 s. */
  command(...args: readonly string[]): Promise<string>;
  /** As SIGKILL does. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  start(): Promise<void>;
}

/** False, or why tests with servers of their own are skipped. */
export const noServer: string | false =
  spawnSync("redis-server", ["--version"]).status === 0 ? false : "there is no redis-server in PATH";

export async function startRedis(args: readonly string[] = [], given?: number): Promise<RedisServer> {
  const port = given ?? (await freePort());
  let folder = "";
  let child: ChildProcess | undefined;
  const server: RedisServer = {
    port,
    url: new URL(`redis://127.0.0.1:${port}`),
    command: (...words) => send(port, words),
    async kill() {
      const running = child;
      child = undefined;
      if (running && running.exitCode === null && running.signalCode === null) {
        const over = new Promise((resolve) => running.once("exit", resolve));
        running.kill("SIGKILL");
        await over;
      }
      if (folder !== "") rmSync(folder, { recursive: true, force: true });
    },
    async start() {
      folder = mkdtempSync(join(tmpdir(), "plinth-redis-"));
      child = spawn("redis-server", ["--port", String(port), ...common(folder), ...args], { stdio: "ignore" });
      await untilUp(port);
    },
  };
  await server.start();
  return server;
}

/** Three primaries, each with a third of the slots. */
export async function startCluster(): Promise<{ nodes: RedisServer[]; url: URL; close(): Promise<void> }> {
  const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
  const nodes = await Promise.all([1, 2, 3].map(() => startRedis(args)));
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`);
  spawnSync("redis-cli", ["--cluster", "create", ...hosts, "--cluster-yes"], { timeout: 20_000 });
  for (const node of nodes) {
    await until(async () => (await node.command("CLUSTER", "INFO")).includes("cluster_state:ok"));
  }
  return {
    nodes,
    url: new URL(`redis+cluster://${hosts[0]}?nodes=${hosts.slice(1).join(",")}`),
    async close() {
      await Promise.all(nodes.map((node) => node.kill()));
    },
  };
}

/** A primary, a replica and one sentinel that takes half a second of silence for death. */
export async function startSentinel(): Promise<{
  primary: RedisServer;
  replica: RedisServer;
  url: URL;
  close(): Promise<void>;
}> {
  const primary = await startRedis();
  const replica = await startRedis(["--replicaof", "127.0.0.1", String(primary.port)]);
  await until(async () => (await replica.command("INFO", "replication")).includes("master_link_status:up"));
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "plinth-sentinel-"));
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${folder}`,
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 3000",
  ];
  writeFileSync(join(folder, "sentinel.conf"), lines.join("\n"));
  const sentinel = spawn("redis-server", [join(folder, "sentinel.conf"), "--sentinel"], { stdio: "ignore" });
  await untilUp(port);
  await until(async () => (await send(port, ["SENTINEL", "REPLICAS", "main"])).includes(String(replica.port)));
  return {
    primary,
    replica,
    url: new URL(`redis+sentinel://127.0.0.1:${port}/main`),
    async close() {
      const over = new Promise((resolve) => sentinel.once("exit", resolve));
      sentinel.kill("SIGKILL");
      await Promise.all([over, primary.kill(), replica.kill()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function until(condition: () => boolean | Promise<boolean>, patienceMs = 15_000): Promise<void> {
  for (let waitedMs = 0; !(await condition()); waitedMs += 20) {
    if (waitedMs > patienceMs) throw new Error(`waited for ${patienceMs} ms in vain`);
    await systemClock.sleep(20);
  }
}

function common(folder: string): string[] {
  const memory = ["--save", "", "--appendonly", "no", "--dir", folder];
  return [...memory, "--bind", "127.0.0.1", "--enable-debug-command", "local", "--repl-diskless-sync-delay", "0"];
}

async function untilUp(port: number): Promise<void> {
  await until(async () => (await send(port, ["PING"])).includes("PONG"));
}

function send(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let reply = "";
    const end = () => {
      socket.destroy();
      resolve(reply);
    };
    socket.setTimeout(2000, end);
    socket.on("error", end).on("close", end);
    socket.on("data", (chunk) => {
      reply += chunk.toString("latin1");
      // Whole enough for what is asked here: the reply ends a line, and nothing follows at once.
      if (reply.endsWith("\r\n")) setTimeout20(end);
    });
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join("")}`);
  });
}

function setTimeout20(task: () => void): void {
  systemClock.after(20, task);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  // A cluster's nodes talk on the port 10,000 above.
  return port < 50_000 ? port : freePort();
}
