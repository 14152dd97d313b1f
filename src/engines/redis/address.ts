import { StartError } from "../../base/index.ts";

/** Where the server is, and as whom to speak to it. `shown` is the part that may be printed. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** The first part of every key, so that several apps can use one server. */
  readonly prefix: string;
  readonly shown: string;
}

const form = "redis://user:password@host:6379/0?prefix=shop";

/** Reads the URL. StartError, which never repeats the credentials, when it asks for what is not there. */
export function parseAddress(url: URL): RedisAddress {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  const problems: string[] = [];
  if (host === "") problems.push("it names no host");
  const database = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1];
  if (database === undefined) problems.push(`${JSON.stringify(url.pathname)} is no database number, such as /0`);
  const prefix = url.searchParams.get("prefix") ?? "plinth";
  if (!/^[\w.-]{1,64}$/.test(prefix)) problems.push('the prefix must be 1 to 64 letters, digits, ".", "_" or "-"');
  for (const name of url.searchParams.keys()) {
    if (name !== "prefix") problems.push(`there is no option ${JSON.stringify(name)}, only "prefix"`);
  }
  const username = decode(url.username, "user name", problems);
  const password = decode(url.password, "password", problems);
  if (problems.length > 0) {
    throw new StartError(
      "REDIS_URL_INVALID",
      problems.map((problem) => `redis: the URL ${shown}: ${problem}. Write it as ${form}`),
    );
  }
  const port = url.port === "" ? 6379 : Number(url.port);
  return { host, port, tls: url.protocol === "rediss:", username, password, database: Number(database), prefix, shown };
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
