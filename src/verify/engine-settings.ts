import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { createRespFramer } from "./faults/resp-framer.ts";

/** A setting of the user's server, and whether our promises hold with it. */
export interface EngineSetting {
  readonly name: string;
  readonly value: string;
  /** `wrong`: a promise does not hold. `careful`: it depends. `unread`: the server would not say. */
  readonly verdict: "right" | "careful" | "wrong" | "unread";
  /** What follows, where it is not right. */
  readonly means?: string;
}

interface Rule {
  readonly name: string;
  readonly isRight: (value: string) => boolean;
  readonly otherwise: "careful" | "wrong";
  readonly means: string;
}

const lostPower = "a commit that was acknowledged can be lost, or data damaged, when the machine loses power";
const postgresRules: readonly Rule[] = [
  {
    name: "server_version_num",
    isRight: (value) => Number(value) >= 130_000,
    otherwise: "wrong",
    means: "it is older than 13",
  },
  { name: "fsync", isRight: (value) => value === "on", otherwise: "wrong", means: lostPower },
  { name: "full_page_writes", isRight: (value) => value === "on", otherwise: "wrong", means: lostPower },
  {
    name: "synchronous_commit",
    isRight: (value) => value !== "off",
    otherwise: "wrong",
    means: "the last commits that were acknowledged can be lost when the server crashes",
  },
  { name: "wal_level", isRight: (value) => value !== "minimal", otherwise: "careful", means: "it can have no replica" },
  {
    name: "max_connections",
    isRight: (value) => Number(value) >= 50,
    otherwise: "careful",
    means: "the pools of a few processes use it up; add them together",
  },
  {
    name: "default_transaction_read_only",
    isRight: (value) => value === "off",
    otherwise: "wrong",
    means: "it takes no writes",
  },
  {
    name: "idle_in_transaction_session_timeout",
    isRight: (value) => value !== "0",
    otherwise: "careful",
    means: "a client that hangs in a transaction holds its locks; Plinth sets its own limit, others may not",
  },
];

/** Reads what matters from a Postgres server. The driver is open. */
export async function postgresSettings(driver: DatabaseDriver): Promise<readonly EngineSetting[]> {
  const database = createDatabase({ driver, schema: "public" });
  const names = postgresRules.map(({ name }) => name);
  const rows = await database.sql<{ name: string; setting: string }>`
    select name, setting from pg_settings where name = any (${names})`;
  const values = new Map(rows.map(({ name, setting }) => [name, setting]));
  return postgresRules.map((rule) => judge(rule, values.get(rule.name)));
}

const redisRules: readonly Rule[] = [
  {
    name: "redis_version",
    isRight: (value) => Number.parseInt(value, 10) >= 4,
    otherwise: "wrong",
    means: "it is older than 4, and removes keys in its main thread",
  },
  {
    name: "maxmemory-policy",
    isRight: (value) => value.startsWith("allkeys-"),
    otherwise: "careful",
    means: "when its memory is full it refuses writes, or keeps what nobody asks for: set an allkeys- policy",
  },
  {
    name: "maxmemory",
    isRight: (value) => value !== "0",
    otherwise: "careful",
    means: "nothing bounds its memory but the machine",
  },
  {
    name: "appendonly",
    isRight: (value) => value === "no",
    otherwise: "careful",
    means: "it keeps on disk what is a cache; harmless, and slower",
  },
];

/** Reads what matters from Redis, by a connection of its own: the cache port has no way to ask. */
export async function redisSettings(url: URL, clock: Clock): Promise<readonly EngineSetting[]> {
  // Several servers: which one answers, and with what settings, changes.
  if (url.protocol.includes("+")) return redisRules.map((rule) => judge(rule, undefined));
  const config = redisRules.slice(1).map(({ name }) => ["CONFIG", "GET", name]);
  const replies = await askRedis(url, [["INFO", "server"], ...config], clock);
  const version = /^(?:valkey|redis)_version:(\S+)/m.exec(replies[0] ?? "")?.[1];
  return redisRules.map((rule, i) => {
    const value = i === 0 ? version : replies[i]?.split("\r\n")[4];
    return judge(rule, value);
  });
}

const redisTimeoutMs = 5000;

function askRedis(url: URL, commands: readonly (readonly string[])[], clock: Clock): Promise<readonly string[]> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = Number(url.port || 6379);
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const login = password === "" ? [] : [["AUTH", ...(user === "" ? [] : [user]), password]];
  const all = [...login, ...commands];
  return new Promise((resolve, reject) => {
    const replies: string[] = [];
    let reply = "";
    const fail = (cause?: unknown): void => {
      cancel();
      socket.destroy();
      reject(error("unavailable", "The server did not say its settings.", { reason: "ENGINE_SETTINGS_UNREAD", cause }));
    };
    const framer = createRespFramer(() => fail(new Error("it does not speak Redis' protocol")));
    const socket = url.protocol === "rediss:" ? connectTls({ host, port, servername: host }) : connect({ host, port });
    const cancel = clock.after(redisTimeoutMs, () => fail(new Error("it did not answer in 5 s")));
    socket.on("error", fail);
    socket.on("close", () => fail(new Error("it closed the connection")));
    socket.on("data", (chunk: Buffer) => {
      for (const { bytes, last } of framer.push(chunk)) {
        reply += bytes.toString();
        if (!last) continue;
        replies.push(reply);
        reply = "";
      }
      if (replies.length < all.length) return;
      cancel();
      socket.destroy();
      resolve(replies.slice(login.length));
    });
    for (const words of all) {
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
    }
  });
}

function judge({ name, isRight, otherwise, means }: Rule, value: string | undefined): EngineSetting {
  if (value === undefined)
    return { name, value: "", verdict: "unread", means: "the server does not say; ask who runs it" };
  return isRight(value) ? { name, value, verdict: "right" } : { name, value, verdict: otherwise, means };
}
