import type { IncomingHttpHeaders } from "node:http";
import type { CallScope } from "../base/index.ts";

/**
 * `Plinth-Position`: how far a client has come in the databases it wrote to. An answer names it when the call knows of a
 * position; a client that sends the last one it got sees its own writes, whichever replica answers. It proves nothing and
 * grants nothing: what is malformed is ignored, and a made-up one costs its sender the replicas.
 */
const header = "plinth-position";

export function takePosition(headers: IncomingHttpHeaders, scope: CallScope): void {
  const token = headers[header];
  if (typeof token === "string") scope.position.merge(token);
}

export function hasPosition(scope: CallScope | undefined): boolean {
  return scope?.knownPosition?.token !== undefined;
}

export function tellPosition(scope: CallScope | undefined, head: string[]): void {
  const token = scope?.knownPosition?.token;
  if (token !== undefined) head.push(header, token);
}
