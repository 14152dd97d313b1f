import type { IncomingHttpHeaders } from "node:http";
import type { Call } from "../base/index.ts";
import type { Operation, RawRequest, RawResponse } from "../service/index.ts";
import { readBody } from "./body.ts";
import { clientHeaders, tellsOfClient } from "./client/address-headers.ts";
import type { Exchange } from "./exchange.ts";
import { extendHead } from "./extras.ts";
import { isHeaderName, isHeaderValue, isReservedHeader } from "./head.ts";
import type { Step } from "./step.ts";
import type { EndpointSettings } from "./unary.ts";

/**
 * The way of a request through a raw method: plain HTTP in and out, with its body read up to the limit. Access, deadline,
 * trace and limits are those of every method; the default headers are added where the handler sets none of that name.
 *
 * An answer that HTTP cannot carry (a status out of 200 to 599, a header with line breaks, a header that belongs to the
 * connection) is 500, with the fault in the log.
 */
export function compileRaw(
  operation: Operation,
  call: Call,
  admit: Step,
  settings: EndpointSettings,
): (exchange: Exchange) => void {
  const deadlineMs = operation.deadlineMs ?? settings.deadlineMs;
  const { bodyLimitBytes } = operation;

  const run = async (exchange: Exchange, body: Buffer): Promise<void> => {
    try {
      const answer = (await call(toRawRequest(exchange, body), exchange.begin(deadlineMs))) as RawResponse;
      if (!exchange.isOver) reply(exchange, answer);
    } catch (thrown) {
      exchange.fail(thrown);
    }
  };
  const reply = (exchange: Exchange, answer: RawResponse): void => {
    const status = answer.status ?? 200;
    const body = answer.body ?? "";
    checkStatus(operation.id, status);
    const head = headOf(operation.id, answer, settings.headers);
    extendHead(exchange, head);
    const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
    if (status !== 204 && status !== 304) head.push("content-length", String(bytes));
    const isEmpty = bytes === 0 || status === 204 || status === 304;
    exchange.answer(
      status,
      head,
      isEmpty ? undefined : typeof body === "string" ? body : toBuffer(body),
      isEmpty ? 0 : bytes,
    );
  };
  const takeBody = (exchange: Exchange, body: Buffer): void => void run(exchange, body);
  const proceed = (exchange: Exchange): void => readBody(exchange, bodyLimitBytes, takeBody);
  return (exchange) => admit(exchange, proceed);
}

function toRawRequest(exchange: Exchange, body: Buffer): RawRequest {
  return {
    method: exchange.method,
    url: exchange.req.url as string,
    headers: { ...singleStrings(exchange.headers), ...vouchedFor(exchange) },
    params: { ...exchange.params } as Record<string, string>,
    body,
  };
}

/** Where the request comes from, as the gateway knows it. */
function vouchedFor({ client }: Exchange): Record<string, string> {
  const pairs = clientHeaders(client);
  const headers: Record<string, string> = {};
  for (let i = 0; i < pairs.length; i += 2) headers[pairs[i] as string] = pairs[i + 1] as string;
  return headers;
}

/** Header values as single strings, as a list would be sent in one line (RFC 9110, 5.3). */
function singleStrings(headers: IncomingHttpHeaders): Record<string, string> {
  const single: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value !== undefined && name !== "__proto__" && !tellsOfClient(name))
      single[name] = typeof value === "string" ? value : value.join(", ");
  }
  return single;
}

function headOf(id: string, answer: RawResponse, defaults: ReadonlyMap<string, string>): string[] {
  const head: string[] = [];
  const seen = new Set<string>();
  const given = answer.headers ?? {};
  for (const name of Object.keys(given)) {
    const lower = name.toLowerCase();
    const value = given[name];
    if (!isHeaderName(lower)) throw invalid(id, `${JSON.stringify(name)} is no header name`);
    if (isReservedHeader(lower)) throw invalid(id, `the header "${lower}" is the server's own to set`);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== "string" || !isHeaderValue(each))
        throw invalid(id, `the header "${lower}" has a value that HTTP cannot carry`);
      head.push(lower, each);
    }
    seen.add(lower);
  }
  for (const [name, value] of defaults) if (!seen.has(name)) head.push(name, value);
  if (!seen.has("content-type") && answer.body !== undefined) {
    head.push(
      "content-type",
      typeof answer.body === "string" ? "text/plain; charset=utf-8" : "application/octet-stream",
    );
  }
  return head;
}

function checkStatus(id: string, status: number): void {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw invalid(id, `the status ${JSON.stringify(status)} is not between 200 and 599`);
}

/** A bug of the handler: 500 for the caller, this for the log. */
function invalid(id: string, what: string): Error {
  return new Error(`${id}: its answer cannot be sent: ${what}`);
}

function toBuffer(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
