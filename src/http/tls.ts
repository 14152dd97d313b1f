import { readFileSync } from "node:fs";
import type { ConnectionOptions, SecureVersion } from "node:tls";
import { createSecureContext } from "node:tls";
import { StartError } from "../base/index.ts";

/**
 * TLS to an outside service, 1.2 or later. The other side's certificate is always checked, against `ca` or else against
 * the authorities that Node knows. PEM text, or the path of a PEM file.
 */
export interface HttpTls {
  /** The authorities that its certificate must come from. */
  readonly ca?: string | Buffer;
  /** Our own certificate, for services that ask for one. With `key`. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name that its certificate must carry. Default: the host of the address. */
  readonly serverName?: string;
}

const versionMin: SecureVersion = "TLSv1.2";

type SocketOptions = Pick<ConnectionOptions, "ca" | "cert" | "key" | "minVersion" | "servername">;

/** What a socket is made with. Throws StartError HTTP_TLS_UNUSABLE. */
export function tlsOptionsOf(tls: HttpTls): SocketOptions {
  const problems: string[] = [];
  if ((tls.cert === undefined) !== (tls.key === undefined))
    problems.push('http: "tls" needs "cert" and "key" together');
  const options: SocketOptions = { minVersion: versionMin };
  for (const name of ["ca", "cert", "key"] as const) {
    const given = tls[name];
    if (given === undefined) continue;
    try {
      options[name] = isPem(given) ? given : readFileSync(given);
    } catch (cause) {
      problems.push(`http: "tls.${name}" is neither PEM text nor a readable file: ${String(cause)}`);
    }
  }
  if (problems.length > 0) throw new StartError("HTTP_TLS_UNUSABLE", problems);
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new StartError("HTTP_TLS_UNUSABLE", `http: "tls" does not hold a certificate and its key: ${String(cause)}`);
  }
  return tls.serverName === undefined ? options : { ...options, servername: tls.serverName };
}

function isPem(given: string | Buffer): boolean {
  return typeof given !== "string" || given.includes("-----BEGIN ");
}
