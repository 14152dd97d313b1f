import type { Trace } from "../base/index.ts";
import { flagRandom, flagSampled, hexWord, writeIds } from "./trace-context.ts";

export const spanKinds = ["internal", "server", "client", "producer", "consumer"] as const;
export type SpanKind = (typeof spanKinds)[number];

/** `ok` also stands for "nothing to say" (OpenTelemetry's Unset), as for a server span that answered 4xx. */
export type SpanStatus = "ok" | "error";

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A piece of work in a trace. Costs one object while it runs; nothing more when the trace is not sampled. */
export interface Span extends Trace {
  /** Kept on sampled spans, at most 32, text cut at 1024 characters. Without effect after `end`. */
  setAttribute(name: string, value: AttributeValue): void;
  /** Names another span that this one has to do with, such as the one that sent the event. At most 8. */
  addLink(trace: Trace): void;
  /** Only the first call counts. */
  end(status?: SpanStatus, attributes?: Attributes): void;
}

/** A finished span as plain data. */
export interface SpanData {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly tracestate: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since 1970, with fraction. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly status: SpanStatus;
  readonly attributes: Attributes;
  readonly links: readonly SpanLink[];
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

export const attributeCountMax = 32;
export const attributeLengthMax = 1024;
export const linkCountMax = 8;

/**
 * The span of this process. Ids are six 32-bit integers in fields: V8 keeps such integers in the object itself, so a
 * span allocates nothing else. `finish` takes it over when it ends.
 */
export class LocalSpan implements Span {
  readonly name: string;
  readonly kind: number;
  flags = flagRandom;
  tracestate: string | undefined = undefined;
  trace0 = 0;
  trace1 = 0;
  trace2 = 0;
  trace3 = 0;
  span0 = 0;
  span1 = 0;
  parent0 = 0;
  parent1 = 0;
  startedAt = 0;
  attributes: Record<string, AttributeValue> | undefined = undefined;
  attributeCount = 0;
  links: SpanLink[] | undefined = undefined;
  #finish: ((span: LocalSpan, status: SpanStatus) => void) | undefined;
  #traceId: string | undefined = undefined;
  #spanId: string | undefined = undefined;

  constructor(name: string, kind: number, finish: (span: LocalSpan, status: SpanStatus) => void) {
    this.name = name;
    this.kind = kind;
    this.#finish = finish;
  }

  get traceId(): string {
    this.#traceId ??= hexWord(this.trace0) + hexWord(this.trace1) + hexWord(this.trace2) + hexWord(this.trace3);
    return this.#traceId;
  }

  get spanId(): string {
    this.#spanId ??= hexWord(this.span0) + hexWord(this.span1);
    return this.#spanId;
  }

  get sampled(): boolean {
    return (this.flags & flagSampled) !== 0;
  }

  traceparent(): string {
    return `00-${this.traceId}-${this.spanId}-0${this.flags}`;
  }

  writeIds(into: Int32Array): number {
    return writeIds(this, into);
  }

  setAttribute(name: string, value: AttributeValue): void {
    if (!this.sampled || this.#finish === undefined) return;
    this.attributes ??= {};
    if (!Object.hasOwn(this.attributes, name)) {
      if (this.attributeCount === attributeCountMax) return;
      this.attributeCount++;
    }
    const kept =
      typeof value === "string" && value.length > attributeLengthMax ? value.slice(0, attributeLengthMax) : value;
    if (name === "__proto__") return;
    this.attributes[name] = kept;
  }

  addLink(trace: Trace): void {
    if (!this.sampled || this.#finish === undefined) return;
    this.links ??= [];
    if (this.links.length < linkCountMax) this.links.push({ traceId: trace.traceId, spanId: trace.spanId });
  }

  end(status: SpanStatus = "ok", attributes?: Attributes): void {
    const finish = this.#finish;
    if (finish === undefined) return;
    if (this.sampled) {
      if (attributes)
        for (const name of Object.keys(attributes)) this.setAttribute(name, attributes[name] as AttributeValue);
      finish(this, status);
    }
    this.#finish = undefined;
  }
}
