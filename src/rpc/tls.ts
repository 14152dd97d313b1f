import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import { StartError } from "../base/index.ts";

/**
 * TLS between our own processes, 1.3 only. Each side has a certificate and its key, and both check the other's against
 * `ca`: mutual TLS. A server without `ca` proves itself but asks clients for none; a client without `cert` has none to
 * show. PEM text, or the path of a PEM file.
 */
export interface RpcTls {
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The authorities that the other side's certificate must come from. */
  readonly ca?: string | Buffer;
  /** For clients: the name that the server's certificate must carry. Default: the host of the address. */
  readonly serverName?: string;
}

/** Throws StartError RPC_TLS_UNUSABLE. */
export function secureContextOf(tls: RpcTls, role: "server" | "client"): SecureContextOptions {
  const problems: string[] = [];
  if (role === "server" && !(tls.cert && tls.key)) problems.push('rpc: "tls" of a server needs "cert" and "key"');
  if ((tls.cert === undefined) !== (tls.key === undefined)) problems.push('rpc: "tls" needs "cert" and "key" together');
  const options: SecureContextOptions = { minVersion: "TLSv1.3" };
  for (const name of ["cert", "key", "ca"] as const) {
    const given = tls[name];
    if (given === undefined) continue;
    try {
      options[name] = isPem(given) ? given : readFileSync(given);
    } catch (cause) {
      problems.push(`rpc: "tls.${name}" is neither PEM text nor a readable file: ${String(cause)}`);
    }
  }
  if (problems.length > 0) throw new StartError("RPC_TLS_UNUSABLE", problems);
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new StartError("RPC_TLS_UNUSABLE", `rpc: "tls" does not hold a certificate and its key: ${String(cause)}`);
  }
  return options;
}

function isPem(given: string | Buffer): boolean {
  return typeof given !== "string" || given.includes("-----BEGIN ");
}
