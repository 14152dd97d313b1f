import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { CallScope } from "../base/index.ts";
import type { Cors } from "./cors.ts";
import type { HeadTemplate } from "./head.ts";
import { isRequestId } from "./head.ts";
import { hasPosition, tellPosition } from "./position.ts";
import { headLines } from "./quick-answer.ts";

/** A request, as far as its answer's head depends on it. */
export interface Asking {
  readonly headers: IncomingHttpHeaders;
  readonly edge: { readonly cors: Cors | undefined };
  /** Names and values. */
  readonly addedHeaders: readonly string[] | undefined;
  readonly scope: CallScope | undefined;
}

/** What a head says beyond its template, because of who asks: CORS, what was added on the way, the request's id, the position. */
export function extendHead(exchange: Asking, head: string[]): void {
  const { headers, edge, addedHeaders, scope } = exchange;
  if (headers.origin !== undefined && edge.cors) head.push(...edge.cors.pairsFor(headers.origin));
  if (addedHeaders) head.push(...addedHeaders);
  const requestId = headers["x-request-id"];
  if (requestId !== undefined && isRequestId(requestId)) head.push("x-request-id", requestId as string);
  tellPosition(scope, head);
  if (scope?.isRepeat) head.push("idempotency-replayed", "true");
}

/** A head of its own for one answer. */
export function headFor(exchange: Asking, template: HeadTemplate, bodyBytes: number): string[] {
  const head = template.slice();
  head[1] = String(bodyBytes);
  extendHead(exchange, head);
  return head;
}

/** What `extendHead` adds, as lines. */
export function extraLines(exchange: Asking): string {
  const { headers, edge, addedHeaders, scope } = exchange;
  let lines = headers.origin !== undefined && edge.cors ? edge.cors.linesFor(headers.origin) : "";
  if (!addedHeaders && headers["x-request-id"] === undefined && !scope?.isRepeat && !hasPosition(scope)) return lines;
  if (addedHeaders) lines += headLines(addedHeaders);
  const requestId = headers["x-request-id"];
  if (requestId !== undefined && isRequestId(requestId)) lines += `x-request-id: ${requestId}\r\n`;
  if (hasPosition(scope)) {
    const own: string[] = [];
    tellPosition(scope, own);
    lines += headLines(own);
  }
  return scope?.isRepeat ? `${lines}idempotency-replayed: true\r\n` : lines;
}

/** Whether there is anything of that kind. */
export function hasExtras({ headers, edge, addedHeaders, scope }: Asking): boolean {
  if (addedHeaders || hasPosition(scope) || headers["x-request-id"] !== undefined || scope?.isRepeat) return true;
  return headers.origin !== undefined && edge.cors !== undefined;
}

/** Puts the headers that were added onto an answer that somebody else writes. */
export function tellAdded({ addedHeaders = [], res }: Asking & { readonly res: ServerResponse }): void {
  for (let i = 0; i < addedHeaders.length; i += 2) {
    res.appendHeader(addedHeaders[i] as string, addedHeaders[i + 1] as string);
  }
}
