import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Authenticator, Presented } from "../identity/index.ts";
import type { Exchange } from "./exchange.ts";

/** What a request shows of who sends it. Made only for those whose token is not remembered. */
export function identityOf(exchange: Exchange, apiKey: string | undefined): Presented {
  const { headers } = exchange;
  const proof = headers.dpop;
  return {
    authorization: headers.authorization,
    apiKey,
    dpop: Array.isArray(proof) ? proof.join(", ") : proof,
    method: exchange.method,
    url: () => urlOf(exchange),
    certificate: () => thumbprintOf(exchange.req.socket as Partial<TLSSocket>),
  };
}

/** The address that was asked for, as the client wrote it, and the proxies before us tell it. */
function urlOf({ client, req, path }: Exchange): string {
  return `${client.protocol}://${client.host ?? req.headers.host ?? ""}${path}`;
}

/** Of the certificate that the client proved to have by the handshake; undefined when it showed none. */
function thumbprintOf(socket: Partial<TLSSocket>): string | undefined {
  const raw: Buffer | undefined = socket.getPeerCertificate?.(false)?.raw;
  return raw === undefined ? undefined : createHash("sha256").update(raw).digest("base64url");
}

/** The headers in which a request says who sends it, in small letters. What stands in them is for the gateway alone. */
export function credentialHeadersOf(authenticator: Authenticator | undefined): ReadonlySet<string> {
  const apiKeyHeader = authenticator?.apiKeyHeader;
  return new Set(["authorization", "dpop", ...(apiKeyHeader === undefined ? [] : [apiKeyHeader])]);
}
