import type { Call } from "../base/index.ts";
import type { CachePlan, Operation, Route } from "../service/index.ts";
import { notesOf } from "../service/index.ts";
import { forgoBody, readBody } from "./body.ts";
import type { Compression } from "./compression.ts";
import type { ContentSender } from "./content.ts";
import { createContentSender } from "./content.ts";
import { notAcceptable } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { extendHead, hasExtras } from "./extras.ts";
import { headTemplate, withoutLength } from "./head.ts";
import { compileMessage } from "./message.ts";
import { acceptsJson } from "./negotiation.ts";
import type { Step } from "./step.ts";

/** What all endpoints are made with. */
export interface EndpointSettings {
  readonly deadlineMs: number;
  readonly jsonDepth: number;
  /** Of the route. */
  readonly parsesAgain?: boolean;
  readonly headers: ReadonlyMap<string, string>;
  readonly compression: Compression | undefined;
}

/**
 * The way of a request through a method that answers once: let in, message, call, answer. Each step is made at start and
 * holds only what this method needs.
 */
export function compileUnary(
  operation: Operation,
  route: Route,
  call: Call,
  admit: Step,
  settings: EndpointSettings,
): (exchange: Exchange) => void {
  const message = compileMessage(operation, route, settings);
  const deadlineMs = operation.deadlineMs ?? settings.deadlineMs;
  const { bodyLimitBytes } = operation;
  const reply = compileReply(operation, settings);
  const answersJson = operation.response !== undefined;

  const run = async (exchange: Exchange, request: unknown): Promise<void> => {
    try {
      const answer = await call(request, exchange.begin(deadlineMs));
      if (!exchange.isOver) reply(exchange, answer);
    } catch (thrown) {
      exchange.fail(thrown);
    }
  };
  const takeBody = (exchange: Exchange, body: Buffer): void => void run(exchange, message.fromBody(exchange, body));

  const proceed = (exchange: Exchange): void => {
    if (answersJson && !acceptsJson(exchange.headers.accept)) throw notAcceptable("application/json");
    if (message.takesBody) {
      message.checkHeaders(exchange);
      readBody(exchange, bodyLimitBytes, takeBody);
      return;
    }
    const request = message.fromQuery(exchange);
    forgoBody(exchange.req);
    void run(exchange, request);
  };
  return (exchange) => admit(exchange, proceed);
}

function compileReply(operation: Operation, settings: EndpointSettings): (exchange: Exchange, answer: unknown) => void {
  const { response, status, cache } = operation;
  if (!response) {
    const head = withoutLength(headTemplate(settings.headers, {}));
    // 204 has no length; any other status says that it has nothing.
    const plain = status === 204 ? head : ["content-length", "0", ...head];
    return (exchange) => {
      if (!hasExtras(exchange)) {
        exchange.answer(status, plain, undefined, 0);
        return;
      }
      const own = plain.slice();
      extendHead(exchange, own);
      exchange.answer(status, own, undefined, 0);
    };
  }
  // What can be invalidated before its time is asked for again each time: an outside cache would not notice.
  const age = cache && (cache.tagsOf ? "no-cache" : freshness(cache));
  const sender: ContentSender = createContentSender({
    status,
    contentType: "application/json",
    headers: settings.headers,
    compression: settings.compression,
    cacheControl: cache && `${cache.private || operation.access !== "public" ? "private" : "public"}, ${age}`,
  });
  if (!cache) return (exchange, answer) => sender.send(exchange, response.stringify(answer));
  return (exchange, answer) => {
    // The same answer as before is the same text, and has the same tag.
    const notes = notesOf(answer);
    const body = notes?.body ?? response.stringify(answer);
    if (notes) notes.body = body;
    sender.send(exchange, body, notes?.etags);
  };
}

/** How long an answer may be kept, and how long an old one may be given, as others understand it (RFC 5861). */
function freshness({ ttlMs, staleMs, staleIfErrorMs }: CachePlan): string {
  const seconds = (name: string, ms: number | undefined): string =>
    ms === undefined || ms < 1000 ? "" : `, ${name}=${Math.floor(ms / 1000)}`;
  return `max-age=${Math.floor(ttlMs / 1000)}${seconds("stale-while-revalidate", staleMs)}${seconds("stale-if-error", staleIfErrorMs)}`;
}
