import { StartError } from "../../base/index.ts";

/** Where the servers are, and as whom to speak to them. `shown` is the part that may be printed. */
export interface RedisAddress {
  /** `server`: one. `sentinel`: the primary that the sentinels name. `cluster`: any nodes of a cluster. */
  readonly kind: "server" | "sentinel" | "cluster";
  /** The server, the sentinels, or the nodes that are asked first. */
  readonly nodes: readonly RedisNode[];
  /** How the sentinels call the primary. */
  readonly primaryName: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** The first part of every key, so that several apps can use one server. */
  readonly prefix: string;
  /** Into how many slots of a cluster a namespace is spread. */
  readonly spread: number;
  readonly shown: string;
}

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

const forms = {
  server: "redis://user:password@host:6379/0?prefix=shop",
  sentinel: "redis+sentinel://user:password@host1,host2:26379/mymaster?prefix=shop",
  cluster: "redis+cluster://user:password@host1,host2:6379?prefix=shop&spread=8",
};
const options = {
  server: ["prefix"],
  sentinel: ["prefix", "nodes", "database", "sentinelPassword"],
  cluster: ["prefix", "nodes", "spread"],
};
const spreadMax = 64;

/** Reads the URL. StartError, which never repeats the credentials, when it asks for what is not there. */
export function parseAddress(url: URL): RedisAddress {
  const [scheme, suffix] = url.protocol.slice(0, -1).split("+");
  const kind: RedisAddress["kind"] = suffix === "sentinel" || suffix === "cluster" ? suffix : "server";
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  const problems: string[] = [];
  const { searchParams } = url;
  for (const name of new Set(searchParams.keys())) {
    const known = options[kind].map((option) => JSON.stringify(option)).join(", ");
    if (!options[kind].includes(name)) problems.push(`there is no option ${JSON.stringify(name)}, only ${known}`);
  }
  const prefix = searchParams.get("prefix") ?? "plinth";
  if (!/^[\w.-]{1,64}$/.test(prefix)) problems.push('the prefix must be 1 to 64 letters, digits, ".", "_" or "-"');
  const path = url.pathname.replace(/^\//, "");
  const address = {
    kind,
    nodes: nodesOf(url, kind, problems),
    primaryName: kind === "sentinel" ? primaryNameOf(path, problems) : undefined,
    sentinelPassword: searchParams.get("sentinelPassword") ?? undefined,
    tls: scheme === "rediss",
    username: decode(url.username, "user name", problems),
    password: decode(url.password, "password", problems),
    database: databaseOf(kind, kind === "sentinel" ? (searchParams.get("database") ?? "0") : path, problems),
    prefix,
    spread: numberOf("spread", searchParams.get("spread") ?? "1", 1, spreadMax, problems),
    shown,
  };
  if (problems.length > 0) {
    throw new StartError(
      "REDIS_URL_INVALID",
      problems.map((problem) => `redis: the URL ${shown}: ${problem}. Write it as ${forms[kind]}`),
    );
  }
  return address;
}

/** Hosts with commas between them share the port; those with another one are in the option `nodes`. */
function nodesOf(url: URL, kind: RedisAddress["kind"], problems: string[]): RedisNode[] {
  const port = url.port === "" ? (kind === "sentinel" ? 26379 : 6379) : Number(url.port);
  const hosts = kind === "server" ? [url.hostname] : url.hostname.split(",");
  const nodes = hosts.map((host) => ({ host: host.replace(/^\[(.*)\]$/, "$1"), port }));
  if (nodes.some(({ host }) => host === "")) problems.push("it names no host");
  for (const text of url.searchParams.get("nodes")?.split(",") ?? []) {
    const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
    if (parts) nodes.push({ host: (parts[1] ?? parts[2]) as string, port: Number(parts[3]) });
    else problems.push(`${JSON.stringify(text)} in "nodes" is no host:port`);
  }
  return nodes;
}

function primaryNameOf(path: string, problems: string[]): string | undefined {
  if (/^[\w.-]{1,64}$/.test(path)) return path;
  problems.push(`${JSON.stringify(path)} is no name of a primary, such as /mymaster`);
  return undefined;
}

function databaseOf(kind: RedisAddress["kind"], text: string, problems: string[]): number {
  if (!/^\d{0,5}$/.test(text)) problems.push(`${JSON.stringify(`/${text}`)} is no database number, such as /0`);
  else if (kind === "cluster" && Number(text) !== 0) problems.push("a cluster has one database, 0");
  return Number(text);
}

function numberOf(name: string, text: string, min: number, max: number, problems: string[]): number {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number < min || number > max) problems.push(`${name} must be ${min} to ${max}, not ${JSON.stringify(text)}`);
  return number;
}

function decode(text: string, what: string, problems: string[]): string | undefined {
  if (text === "") return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    problems.push(`the ${what} holds a "%" that stands for nothing; write it as %25`);
    return undefined;
  }
}
