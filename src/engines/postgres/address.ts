import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { StartError } from "../../base/index.ts";

/** Where a server is and how to talk to it, out of a URL. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly tls: false | ConnectionOptions;
  readonly applicationName: string | undefined;
  readonly poolSize: number | undefined;
  /** A pooler in transaction mode stands between: nothing may be left on a session. */
  readonly pooled: boolean;
  /** The server itself, past the pooler, for what needs a session of its own. */
  readonly direct: { readonly host: string; readonly port: number } | undefined;
}

const known = ["application_name", "direct", "host", "pool_size", "pooler"];
known.push("sslcert", "sslkey", "sslmode", "sslrootcert");

/**
 * `postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ca.pem&pool_size=10`.
 *
 * `sslmode` means what it means to libpq: `disable` (the default) is plain, `require` encrypts without looking at the
 * certificate unless `sslrootcert` is given, `verify-ca` checks who signed it, `verify-full` the name as well. `allow`
 * and `prefer` would fall back to plain text unseen and are refused, as is every parameter that would be ignored.
 * `host` names the folder of a Unix socket, instead of the host before the path.
 *
 * `pooler=transaction` says that PgBouncer or its like stands between, in transaction mode; `direct=db.internal:5432`
 * where the server itself is, which migrations need then. User, password, database and TLS are the same for both.
 */
export function parseAddress(url: URL): Address {
  const refuse = (problem: string): never => {
    const shown = new URL(url);
    shown.password = "";
    throw new StartError("DATABASE_URL_INVALID", `${shown.href}: ${problem}`);
  };
  for (const name of url.searchParams.keys()) {
    if (!known.includes(name)) refuse(`the parameter ${name} is not known; there are ${known.join(", ")}`);
  }
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1");
  if (host === "") refuse("it names no host, as in postgres://user:password@host:5432/database");
  const poolSizeText = url.searchParams.get("pool_size");
  const poolSize = poolSizeText === null ? undefined : Number(poolSizeText);
  if (poolSize !== undefined && !(Number.isInteger(poolSize) && poolSize >= 1 && poolSize <= 1000)) {
    refuse("pool_size is a whole number from 1 to 1000");
  }
  const pooler = url.searchParams.get("pooler") ?? "none";
  if (!["none", "transaction"].includes(pooler)) {
    refuse(`pooler=${pooler} is not served: choose transaction, or none for a direct connection or session pooling`);
  }
  const direct = url.searchParams.get("direct");
  if (direct !== null && pooler === "none") refuse("direct has no effect without pooler=transaction");
  return {
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    database: decodeURIComponent(url.pathname.slice(1)) || undefined,
    tls: tlsOf(url.searchParams, refuse),
    applicationName: url.searchParams.get("application_name") ?? undefined,
    poolSize,
    pooled: pooler === "transaction",
    direct: direct === null ? undefined : directOf(direct, refuse),
  };
}

function directOf(text: string, refuse: (problem: string) => never): NonNullable<Address["direct"]> {
  const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[^:/\s[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port ?? 5432) > 65_535) {
    return refuse("direct is the server's own host and port, as in direct=db.internal:5432");
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port ?? 5432) };
}

function tlsOf(parameters: URLSearchParams, refuse: (problem: string) => never): false | ConnectionOptions {
  const mode = parameters.get("sslmode") ?? "disable";
  if (mode === "disable") {
    for (const name of ["sslrootcert", "sslcert", "sslkey"]) {
      if (parameters.has(name)) refuse(`${name} has no effect without sslmode=require, verify-ca or verify-full`);
    }
    return false;
  }
  if (!["require", "verify-ca", "verify-full"].includes(mode)) {
    refuse(`sslmode=${mode} is not served: choose disable, require, verify-ca or verify-full`);
  }
  const file = (name: string): string | undefined => {
    const path = parameters.get(name);
    if (path === null) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (thrown) {
      return refuse(`${name}=${path} cannot be read (${(thrown as NodeJS.ErrnoException).code}): correct the path`);
    }
  };
  const [ca, cert, key] = [file("sslrootcert"), file("sslcert"), file("sslkey")];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: mode !== "require" || ca !== undefined,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}
