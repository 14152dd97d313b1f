import type { Clock, Random, Trace, TraceIds } from "../base/index.ts";
import { StartError, systemClock, systemRandom } from "../base/index.ts";
import type { Span, SpanData, SpanKind, SpanStatus } from "./span.ts";
import { LocalSpan, spanKinds } from "./span.ts";
import { createSpanRing } from "./span-ring.ts";
import type { HeaderText } from "./trace-context.ts";
import { flagRandom, flagSampled, parseTrace, RemoteTrace, toTrace } from "./trace-context.ts";

/**
 * A light tracer: W3C trace context in and out, sampled spans kept in a ring, handed on in batches.
 *
 * The decision to sample is made once, at the root, from the trace id itself (its last 7 bytes against the ratio, as
 * OpenTelemetry's consistent sampling), so that two processes with the same ratio agree; below the root the parent's
 * flag holds. A span that is not sampled still has ids, for logs and for the next hop, but reads no clock.
 *
 * Limits: `capacity` finished spans are held (default 4096, the oldest goes); an exporter gets batches of at most 512,
 * one at a time; what it cannot take in time is overwritten and counted in `stats.lost`. Never throws into a call.
 */
export interface Tracer {
  /** Begins a span: below `parent`, or as the root of a new trace. */
  start(name: string, parent?: Trace | undefined, kind?: SpanKind): Span;
  /** The caller's trace from its headers, or undefined: begin a new one. */
  parse(traceparent: HeaderText, tracestate?: HeaderText): RemoteTrace | undefined;
  /** The same from ids that came as numbers. */
  receive(ids: TraceIds, tracestate?: HeaderText): RemoteTrace | undefined;
  /** The recent finished spans, oldest first. */
  spans(): SpanData[];
  /** Takes those that nobody has taken yet, at most 512. Only without an exporter. */
  drain(): SpanData[];
  /** Hands all finished spans to the exporter. Resolves after 5 s at the latest; never rejects. */
  flush(): Promise<void>;
  /** Flushes and ends the timer. */
  close(): Promise<void>;
  readonly stats: TracerStats;
}

export interface TracerStats {
  readonly finished: number;
  readonly exported: number;
  /** Overwritten before anybody took them. Counted only where an exporter, or a caller of `drain`, takes them. */
  readonly lost: number;
  /** Spans of batches that the exporter failed on. They are not sent again. */
  readonly failed: number;
}

/** Takes finished spans as plain data. A batch that fails is counted and dropped: the exporter retries if it wants to. */
export interface SpanExporter {
  export(spans: readonly SpanData[]): void | Promise<void>;
  /** Called once by `close`, after the last batch. */
  close?(): void | Promise<void>;
}

export interface TracerOptions {
  /** Share of new traces that is recorded, 0 to 1. Default 0.01. */
  readonly sampleRatio?: number;
  /** How many finished spans are held. Default 4096. */
  readonly capacity?: number;
  readonly exporter?: SpanExporter;
  /** How often spans go to the exporter. Default 1000. Sooner when a batch is full. */
  readonly exportEveryMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

export const exportBatchMax = 512;
const flushMsMax = 5000;
const capacityMax = 1_000_000;

export function createTracer(options: TracerOptions = {}): Tracer {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const sampleRatio = options.sampleRatio ?? 0.01;
  const capacity = options.capacity ?? 4096;
  checkOptions(sampleRatio, capacity);
  // Sampled when the last 56 bits of the trace id, as a number, are not below this.
  const threshold = (1 - sampleRatio) * 2 ** 56;
  const exporter = options.exporter;
  const ring = createSpanRing(capacity);
  let finished = 0;
  let exported = 0;
  let failed = 0;
  let taken = false;
  let running: Promise<void> | undefined;

  const epochMs = (): number => clock.wallNow() - clock.now();

  const exportAll = async (to: SpanExporter): Promise<void> => {
    while (ring.untakenCount > 0) {
      const batch = ring.take(epochMs(), exportBatchMax);
      try {
        await to.export(batch);
        exported += batch.length;
      } catch {
        failed += batch.length;
      }
    }
  };
  const startExport = (): Promise<void> => {
    if (!exporter) return Promise.resolve();
    running ??= exportAll(exporter).finally(() => {
      running = undefined;
    });
    return running;
  };
  const stopTimer = exporter && clock.every(options.exportEveryMs ?? 1000, () => void startExport());

  const finish = (span: LocalSpan, status: SpanStatus): void => {
    ring.add(span, status, clock.now() - span.startedAt);
    finished++;
    if (exporter && !running && ring.untakenCount >= exportBatchMax) queueMicrotask(() => void startExport());
  };

  const flush = async (): Promise<void> => {
    const stop = new AbortController();
    const limit = clock.sleep(flushMsMax, stop.signal).catch(() => {});
    // Twice: the first may be a run that began before the last span ended.
    await Promise.race([startExport().then(startExport), limit]);
    stop.abort();
  };

  return {
    parse: parseTrace,
    receive: ({ words, flags }, tracestate) => toTrace(words, flags, tracestate),
    start(name, parent, kind = "internal") {
      const span = new LocalSpan(name, kindIndex(kind), finish);
      if (!inherit(span, parent)) beginTrace(span, random, threshold);
      newSpanId(span, random);
      if (span.sampled) span.startedAt = clock.now();
      return span;
    },
    spans: () => ring.list(epochMs()),
    drain() {
      taken = true;
      return exporter ? [] : ring.take(epochMs(), exportBatchMax);
    },
    flush,
    async close() {
      stopTimer?.();
      await flush();
      try {
        await exporter?.close?.();
      } catch {
        failed++;
      }
    },
    get stats() {
      return { finished, exported, failed, lost: exporter || taken ? ring.lostCount : 0 };
    },
  };
}

const kindIndexes: Readonly<Record<SpanKind, number>> = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 };

function kindIndex(kind: SpanKind): number {
  return kindIndexes[kind] ?? spanKinds.indexOf("internal");
}

/** Takes trace id, parent id, flags and tracestate from the parent. False when there is none to take from. */
function inherit(span: LocalSpan, parent: Trace | undefined): boolean {
  if (parent === undefined) return false;
  const isOurs = parent instanceof LocalSpan || parent instanceof RemoteTrace;
  const known = isOurs ? parent : parseTrace(parent.traceparent(), parent.tracestate);
  if (known === undefined) return false;
  span.trace0 = known.trace0;
  span.trace1 = known.trace1;
  span.trace2 = known.trace2;
  span.trace3 = known.trace3;
  span.parent0 = known.span0;
  span.parent1 = known.span1;
  span.flags = known.flags;
  span.tracestate = known.tracestate;
  return true;
}

function beginTrace(span: LocalSpan, random: Random, threshold: number): void {
  do {
    span.trace0 = random.uint32() | 0;
    span.trace1 = random.uint32() | 0;
    span.trace2 = random.uint32() | 0;
    span.trace3 = random.uint32() | 0;
  } while ((span.trace0 | span.trace1 | span.trace2 | span.trace3) === 0);
  const randomness = (span.trace2 & 0xff_ffff) * 0x1_0000_0000 + (span.trace3 >>> 0);
  span.flags = randomness >= threshold ? flagRandom | flagSampled : flagRandom;
}

function newSpanId(span: LocalSpan, random: Random): void {
  do {
    span.span0 = random.uint32() | 0;
    span.span1 = random.uint32() | 0;
  } while ((span.span0 | span.span1) === 0);
}

function checkOptions(sampleRatio: number, capacity: number): void {
  if (!(sampleRatio >= 0 && sampleRatio <= 1)) {
    throw new StartError(
      "SAMPLE_WRONG",
      `tracer: sampleRatio is ${sampleRatio}. Use a share from 0 (none) to 1 (all).`,
    );
  }
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > capacityMax) {
    throw new StartError(
      "TRACER_CAPACITY_WRONG",
      `tracer: capacity is ${capacity}. Use a whole number of spans from 1 to ${capacityMax}.`,
    );
  }
}
