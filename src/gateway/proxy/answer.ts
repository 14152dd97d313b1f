import type { Readable } from "node:stream";
import { error } from "../../base/index.ts";
import type { ForwardAnswer } from "../../upstream/index.ts";
import { leavePlace } from "../entrance.ts";
import { overloaded } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { extendHead } from "../extras.ts";
import type { QuickHead } from "../quick-answer.ts";
import { quickHead } from "../quick-answer.ts";
import { outwardHeaders } from "./headers.ts";
import type { HeaderPairs, HeaderTransform } from "./transform.ts";

/** What the answers of one route have in common. */
export interface Answering {
  readonly transform: HeaderTransform | undefined;
  /** What CORS makes answers depend on. */
  readonly vary: string | undefined;
  readonly streams: StreamCount;
  readonly streamMs: number;
}

/** Streams of one route that are open in this process. */
export interface StreamCount {
  open: number;
  readonly max: number;
}

const streamTypes = /^(?:text\/event-stream|application\/x-ndjson|application\/json-seq|multipart\/x-mixed-replace)\b/i;

/** Passes an outside system's answer on as it comes. */
export function sendAnswer(exchange: Exchange, answer: ForwardAnswer, answering: Answering): void {
  const { status, body } = answer;
  const isStream = body !== undefined && isStreamAnswer(answer.headers);
  if (isStream && !takeStream(exchange, answering)) {
    body.destroy();
    throw overloaded();
  }
  // What the client still sends is not wanted any more; only the end of the connection says where it ends.
  if (!exchange.req.complete) exchange.res.shouldKeepAlive = false;
  const { whole } = answer;
  const quick = whole && quickHeadOf(status, ownHeadOf(exchange, answer.headers, answering), whole.length);
  if (quick) {
    exchange.answerText(quick, whole, whole.length, "latin1");
    return;
  }
  const head = headOf(exchange, answer.headers, answering);
  if (!body) {
    exchange.answer(status, head, whole, whole?.length ?? 0, "latin1");
    return;
  }
  exchange.keepOrClose();
  exchange.res.writeHead(status, head);
  if (isStream) becomeStream(exchange, body, answering);
  leavePlace(exchange, exchange.edge.clock.now());
  exchange.watchClient();
  pass(exchange, body, status);
}

/** The headers as the client gets them. */
export function headOf(exchange: Exchange, headers: readonly string[], answering: Answering): HeaderPairs {
  const head = ownHeadOf(exchange, headers, answering);
  extendHead(exchange, head);
  return head;
}

/** The same without what every answer of the edge says because of who asks. */
function ownHeadOf({ edge }: Exchange, headers: readonly string[], { transform, vary }: Answering): HeaderPairs {
  const passed = outwardHeaders(headers, edge.hsts);
  const head = transform ? transform(passed) : passed;
  if (vary !== undefined) head.push("vary", vary);
  return head;
}

/** The head of a short answer as text; undefined where it does not tell its length in the one way that there is. */
function quickHeadOf(status: number, head: HeaderPairs, bodyBytes: number): QuickHead | undefined {
  const length = String(bodyBytes);
  const flat = ["content-length", length];
  let lengths = 0;
  let hasDate = false;
  for (let i = 0; i < head.length; i += 2) {
    const name = head[i] as string;
    const value = head[i + 1] as string;
    if (name === "content-length") lengths += value === length ? 1 : 2;
    else {
      hasDate ||= name === "date";
      flat.push(name, value);
    }
  }
  return lengths === 1 && bodyBytes > 0 ? quickHead(status, flat, hasDate) : undefined;
}

/** An answer of lines without an end. */
export function isStreamAnswer(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === "content-type") return streamTypes.test(headers[i + 1] as string);
  }
  return false;
}

function takeStream(exchange: Exchange, { streams }: Answering): boolean {
  const { edge } = exchange;
  if (streams.open >= streams.max || edge.streams >= edge.limits.streams) return false;
  streams.open++;
  exchange.atEnd(() => {
    streams.open--;
  });
  return true;
}

/** How long events go on that were asked for while the process was draining already. */
const lateDelayMs = 1000;

function becomeStream(exchange: Exchange, body: Readable, { streamMs }: Answering): void {
  const { edge, res, req } = exchange;
  exchange.becomeStream();
  res.flushHeaders();
  /** Ends well: a client that wants more asks again, and finds another process or this one. */
  const end = (): void => {
    if (exchange.isOver) return;
    res.once("finish", () => req.socket.end());
    res.end();
    body.destroy();
    exchange.finish(res.statusCode);
  };
  const cancel = edge.clock.after(streamMs, end);
  exchange.atEnd(cancel);
  exchange.onDrain = (delayMs) => void edge.clock.after(delayMs, end);
  if (edge.draining) exchange.onDrain(lateDelayMs);
}

function pass(exchange: Exchange, body: Readable, status: number): void {
  const { res } = exchange;
  const onDrain = (): void => void body.resume();
  res.on("drain", onDrain);
  body.on("data", (chunk: Buffer) => {
    if (exchange.isOver) return;
    exchange.responseBytes += chunk.length;
    if (!res.write(chunk)) body.pause();
  });
  body.on("end", () => {
    if (exchange.isOver) return;
    res.end();
    exchange.finish(status);
  });
  body.on("error", (cause: Error) => {
    if (!exchange.isOver) exchange.fail(brokenOff(cause));
  });
  exchange.atEnd(() => {
    res.off("drain", onDrain);
    if (!body.readableEnded) body.destroy();
  });
}

/** UPSTREAM_BROKE_OFF: for the log; the client sees its connection end, for the answer had begun. */
const brokenOff = (cause: Error) =>
  error("unavailable", "The answer broke off.", { reason: "UPSTREAM_BROKE_OFF", executed: "maybe", cause });
