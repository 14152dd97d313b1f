import type { Clock, Random, Trace } from "../base/index.ts";
import { StartError, systemClock, systemRandom } from "../base/index.ts";
import type { TextDestination } from "./destination.ts";
import { standardOutput } from "./destination.ts";
import { safeText } from "./line.ts";
import { createLineWriter } from "./line-writer.ts";
import type { Redactor } from "./redactor.ts";

/**
 * One line for a request at the edge, cheap enough to stay on: built by hand, appended to a buffer, written in batches,
 * sampled. Requests that failed on our side (status 500 and more) or took `slowMs` are always written.
 *
 * The `time` of a line is when it was written, to 100 ms: one clock reading serves all lines of a batch. When the reader
 * stands still, at most 4 MiB wait; further lines are dropped and counted.
 *
 * Give the path without its query string: queries carry tokens.
 */
export interface AccessLog {
  /** Writes the line if the sample or its outcome asks for it. True when it was taken. */
  write(entry: AccessEntry): boolean;
  /** Whether such a request would be written: lets the edge skip making an entry. Draws the sample: ask once. */
  wants(status: number, durationMs: number): boolean;
  /** Writes without asking again, after `wants`. */
  append(entry: AccessEntry): void;
  flush(): Promise<void>;
  close(): Promise<void>;
  readonly writtenCount: number;
  readonly droppedCount: number;
}

/** What the edge knows of a finished request. Its own request object may be one. */
export interface AccessEntry {
  readonly method: string;
  /** The template, "/products/:id"; "" when no route matched. */
  readonly route: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly remote: string;
  readonly userAgent: string | undefined;
  /** Who called: the principal's subject. */
  readonly subject: string | undefined;
  /** The reason of the error, if one was answered. */
  readonly reason: string | undefined;
  readonly trace: Trace | undefined;
  /** The request's own id, where it has one. */
  readonly requestId?: string | undefined;
  /** The outside target that answered, and how many tries that took. */
  readonly target?: string | undefined;
  readonly attempts?: number;
}

export interface AccessLogOptions {
  readonly service?: string;
  /** Default: standard output. */
  readonly destination?: TextDestination;
  /** Share of ordinary requests that is written, 0 to 1. Default 0.01. */
  readonly sample?: number;
  /** From this duration on a request is always written. Default 1000. */
  readonly slowMs?: number;
  readonly redactor?: Redactor;
  readonly clock?: Clock;
  readonly random?: Random;
}

const pathLengthMax = 1024;
const userAgentLengthMax = 256;
const tickMs = 100;

export function createAccessLog(options: AccessLogOptions = {}): AccessLog {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const sample = options.sample ?? 0.01;
  const slowMs = options.slowMs ?? 1000;
  const redactor = options.redactor;
  if (!(sample >= 0 && sample <= 1)) {
    throw new StartError("SAMPLE_WRONG", `access log: sample is ${sample}. Use a share from 0 (none) to 1 (all).`);
  }
  const service = options.service === undefined ? "" : `,"service":${safeText(options.service)}`;

  // The beginning of a line, made once for each batch. Empty: to be made for the next line.
  let head = "";
  const writer = createLineWriter({
    destination: options.destination ?? standardOutput(),
    clock,
    batchMs: tickMs,
    onTick: () => {
      head = "";
    },
    transform: redactor && ((batch) => redactor.text(batch)),
  });

  const wants = (status: number, durationMs: number): boolean =>
    status >= 500 || durationMs >= slowMs || (sample > 0 && random.next() < sample);

  const append = (entry: AccessEntry): void => {
    if (head === "") head = `{"level":"info","time":"${new Date(clock.wallNow()).toISOString()}"${service}`;
    let line = `${head},"method":${safeText(entry.method)}`;
    if (entry.route !== "") line += `,"route":${safeText(entry.route)}`;
    line += `,"path":${safeText(limit(entry.path, pathLengthMax))}`;
    line += `,"status":${entry.status},"durationMs":${Math.round(entry.durationMs * 1000) / 1000}`;
    line += `,"requestBytes":${entry.requestBytes},"responseBytes":${entry.responseBytes}`;
    line += `,"remote":${safeText(entry.remote)}`;
    if (entry.userAgent !== undefined) line += `,"userAgent":${safeText(limit(entry.userAgent, userAgentLengthMax))}`;
    if (entry.subject !== undefined && entry.subject !== "") line += `,"subject":${safeText(entry.subject)}`;
    if (entry.reason !== undefined) line += `,"reason":${safeText(entry.reason)}`;
    if (entry.requestId !== undefined) line += `,"requestId":${safeText(limit(entry.requestId, 128))}`;
    if (entry.target !== undefined) line += `,"target":${safeText(entry.target)},"attempts":${entry.attempts ?? 1}`;
    if (entry.trace) line += `,"trace_id":"${entry.trace.traceId}","span_id":"${entry.trace.spanId}"`;
    writer.write(`${line},"msg":"request"}\n`);
  };

  return {
    wants,
    append,
    write(entry) {
      if (!wants(entry.status, entry.durationMs)) return false;
      append(entry);
      return true;
    },
    flush: writer.flush,
    close: writer.close,
    get writtenCount() {
      return writer.writtenCount;
    },
    get droppedCount() {
      return writer.droppedCount;
    },
  };
}

function limit(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
}
