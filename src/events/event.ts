import { createHash } from "node:crypto";
import type { Trace } from "../base/index.ts";

/**
 * What is announced, and what travels.
 *
 * An event type says how its payloads are checked and which of them keep their order. A message is one event on its
 * way: the fields are those of CloudEvents 1.0 under our own names (`id`, `source`, `type`, `time` as `at`, `data` as
 * `payload`, and the distributed tracing extension).
 */
export interface EventType<Payload = any> {
  /** `"checkout.OrderPlaced"`: the service that announces it, and a fact in the past tense. */
  readonly name: string;
  /** The service that announces it. */
  readonly service: string;
  readonly payload: PayloadSchema<Payload>;
  /** Events of one service with the same key are delivered in the order in which they were written. */
  keyOf(payload: any): string;
}

/** A compiled schema, as far as events look into it. What the schema room's `compile` gives is one. */
export interface PayloadSchema<Payload = any> {
  /** Checking never changes the value. Otherwise the text keeps what the publisher gave, and each reader parses it anew. */
  readonly native: boolean;
  /** Checks, and answers with a fresh copy; throws a PlinthError `invalid_argument`. */
  parse(value: unknown): Payload;
  /** JSON text of the declared fields. */
  stringify(value: Payload): string;
}

/** One event on its way. Plain data. */
export interface EventMessage {
  /** UUIDv7. Stays the same however often the message is delivered. */
  readonly id: string;
  /** The name of the event type. */
  readonly type: string;
  readonly key: string;
  /** JSON text, exactly as the publisher wrote it: brokers carry it unread. */
  readonly payload: string;
  /** The service that announced it. */
  readonly source: string;
  /** When it was announced: ISO 8601, by the wall clock of the publisher. For people; nothing is ordered by it. */
  readonly at: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  /**
   * 1, 2, 3 … within the source and key, without gaps, in the order of the commits: who sees 7 after 5 has missed one.
   * Begins anew after a key was not used for 90 days. Absent in events written before there were any.
   */
  readonly sequence?: number;
}

/** At most this many characters in a key, so that it fits an index row. Publishing with a longer one is refused. */
export const keyLengthMax = 256;

/** The default for the largest payload, in bytes of JSON text. Larger things belong in a store; the event carries a name. */
export const payloadBytesMax = 256 * 1024;

/**
 * What tells two messages of one id apart: SHA-256 over type, source, key and payload, in hex. Two messages with the
 * same id and hash are one message delivered twice; with another hash they are a collision, which nobody may drop.
 */
export function hashOf(message: EventMessage): string {
  const hash = createHash("sha256");
  for (const part of [message.type, message.source, message.key]) hash.update(part).update("\0");
  return hash.update(message.payload).digest("hex");
}

/** Messages with the same order key are delivered one after the other. Keys of two services have nothing to do with each other. */
export function orderKeyOf(message: EventMessage): string {
  return `${message.source}\0${message.key}`;
}

const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** The place in its trace that the publisher gave the message; undefined when it gave none, or one that is broken. */
export function traceOf(message: EventMessage): Trace | undefined {
  const match = message.traceparent === undefined ? null : traceparentPattern.exec(message.traceparent);
  if (!match || match[1] === "ff") return undefined;
  const [traceparent, , traceId = "", spanId = "", flags = ""] = match;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return {
    traceId,
    spanId,
    sampled: (Number.parseInt(flags, 16) & 1) === 1,
    tracestate: message.tracestate,
    traceparent: () => traceparent,
  };
}
