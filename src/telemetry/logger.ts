import type { Logger as Pino } from "pino";
import { pino } from "pino";
import type { Clock, Trace } from "../base/index.ts";
import { StartError, systemClock } from "../base/index.ts";
import { createConsoleFormat } from "./console-format.ts";
import type { TextDestination } from "./destination.ts";
import { standardOutput } from "./destination.ts";
import { errorFields } from "./error-fields.ts";
import { safeLine } from "./line.ts";
import type { Redactor } from "./redactor.ts";
import { createRedactor } from "./redactor.ts";

/**
 * Structured logs: one JSON object per line, `level`, `time` (ISO 8601, UTC), `service`, `trace_id` and `span_id` where
 * the line belongs to a call, the fields given, `msg`.
 *
 * Promised: a log call never throws and never blocks on the reader; a line is one line, whatever is in it; declared
 * secrets do not appear; a field of the caller never replaces one of ours (`time` becomes `time_`). Errors are written
 * with their chain of causes and their private `detail`.
 *
 * Not promised: that the last lines survive a crash of the machine, or a reader that does not read (see
 * `standardOutput`). Lines are cut at 64 KiB (`truncatedChars` says how much is missing).
 */
export interface Logger {
  /** The least important level that is written. One setting for the whole tree of loggers; may be changed at any time. */
  level: LogLevel;
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A logger that adds `fields` to each line. A `trace` among them gives trace ids. */
  child(fields: LogFields): Logger;
  /** A logger for one call. Costs one small object; the ids become text when a line is written. */
  with(trace: Trace | undefined): Logger;
  isLevelEnabled(level: LogLevel): boolean;
  /** Hides a secret value wherever it appears in a line from now on. False when too short (see `Redactor`). */
  registerSecret(value: string): boolean;
  /** Resolves when everything so far is written, or after 2 s. Never rejects. */
  flush(): Promise<void>;
  /** Lines that the destination refused. */
  readonly failedCount: number;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** `(message)`, `(fields, message)` or `(error, message)`. */
export interface LogMethod {
  (message: string): void;
  (fields: LogFields | Error, message?: string): void;
}

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number] | "silent";

export interface LoggerOptions {
  /** Default "info". */
  readonly level?: LogLevel;
  /** Name of what logs; the `service` field. */
  readonly service?: string;
  /** On each line. */
  readonly fields?: LogFields;
  /** Further secrets by path from the top of a line: `user.email`, `headers["x-key"]`, `*.ssn`. */
  readonly redactPaths?: readonly string[];
  /** Shared with other writers, so that a secret registered once is hidden everywhere. Default: an own one. */
  readonly redactor?: Redactor;
  /** Default: standard output. */
  readonly destination?: TextDestination;
  /** Default: `pretty` on a terminal, `json` otherwise. */
  readonly format?: "json" | "pretty";
  /** Colour in the `pretty` format. Default: on a terminal, unless NO_COLOR is set. */
  readonly colour?: boolean;
  readonly clock?: Clock;
}

export function createLogger(options: LoggerOptions = {}): Logger {
  const root = new Root(options);
  return new TreeLogger(root, root.open(options), undefined, options.service !== undefined);
}

const flushMsMax = 2000;
const rank: Readonly<Record<LogLevel, number>> = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
  silent: 100,
};
/** `service` is ours as soon as a logger has a name. */
const ownNames = new Set(["level", "time", "trace_id", "span_id", "msg"]);

/** What all loggers of one tree share. */
class Root {
  level: LogLevel;
  rank: number;
  failedCount = 0;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly destination: TextDestination;
  readonly #format: ((line: string) => string) | undefined;

  constructor(options: LoggerOptions) {
    const level = options.level ?? "info";
    this.level = level;
    this.rank = rankOf(level);
    this.redactor = options.redactor ?? createRedactor();
    this.clock = options.clock ?? systemClock;
    this.destination = options.destination ?? standardOutput();
    const terminal = options.destination === undefined && process.stdout.isTTY === true;
    const pretty = (options.format ?? (terminal ? "pretty" : "json")) === "pretty";
    const colour = options.colour ?? (terminal && !process.env.NO_COLOR);
    this.#format = pretty ? createConsoleFormat({ colour }) : undefined;
  }

  open(options: LoggerOptions): Pino {
    const base = options.service === undefined ? {} : { service: options.service };
    try {
      const logger = pino(
        {
          level: "trace",
          base,
          depthLimit: 10,
          edgeLimit: 200,
          serializers: { err: (value: unknown) => value },
          timestamp: () => `,"time":"${new Date(this.clock.wallNow()).toISOString()}"`,
          formatters: { level: (label) => ({ level: label }) },
          ...(options.redactPaths?.length ? { redact: { paths: [...options.redactPaths], censor: "[redacted]" } } : {}),
        },
        { write: (line: string) => this.#write(line) },
      );
      return options.fields
        ? logger.child(ownFields(options.fields, undefined, options.service !== undefined))
        : logger;
    } catch (cause) {
      const paths = JSON.stringify(options.redactPaths ?? []);
      throw new StartError(
        "LOGGER_UNUSABLE",
        `logger: redactPaths ${paths} cannot be used: ${(cause as Error).message} Write paths as "user.email", "headers[\\"x-key\\"]" or "*.ssn".`,
        { cause },
      );
    }
  }

  #write(line: string): void {
    try {
      const safe = safeLine(this.redactor.line(line));
      this.destination.write(this.#format ? this.#format(safe) : safe);
    } catch {
      this.failedCount++;
    }
  }
}

class TreeLogger implements Logger {
  readonly #root: Root;
  readonly #pino: Pino;
  readonly #trace: Trace | undefined;
  /** Whether it, or one above it, has said which service it is of. */
  readonly #named: boolean;

  constructor(root: Root, logger: Pino, trace: Trace | undefined, named: boolean) {
    this.#root = root;
    this.#pino = logger;
    this.#trace = trace;
    this.#named = named;
  }

  get level(): LogLevel {
    return this.#root.level;
  }

  set level(level: LogLevel) {
    this.#root.rank = rankOf(level);
    this.#root.level = level;
  }

  get failedCount(): number {
    return this.#root.failedCount;
  }

  trace(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 10) this.#log("trace", first, message);
  }
  debug(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 20) this.#log("debug", first, message);
  }
  info(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 30) this.#log("info", first, message);
  }
  warn(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 40) this.#log("warn", first, message);
  }
  error(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 50) this.#log("error", first, message);
  }
  fatal(first: string | LogFields | Error, message?: string): void {
    if (this.#root.rank <= 60) this.#log("fatal", first, message);
  }

  child(fields: LogFields): Logger {
    const { trace, ...others } = fields;
    const own = ownFields(isTrace(trace) ? others : fields, undefined, this.#named);
    const named = this.#named || fields.service !== undefined;
    return new TreeLogger(this.#root, this.#pino.child(own), isTrace(trace) ? trace : this.#trace, named);
  }

  with(trace: Trace | undefined): Logger {
    return new TreeLogger(this.#root, this.#pino, trace, this.#named);
  }

  isLevelEnabled(level: LogLevel): boolean {
    return level !== "silent" && rank[level] >= this.#root.rank;
  }

  registerSecret(value: string): boolean {
    return this.#root.redactor.register(value);
  }

  flush(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#root.clock.after(flushMsMax, resolve);
      const done = () => {
        cancel();
        resolve();
      };
      try {
        this.#root.destination.write("", done);
      } catch {
        done();
      }
    });
  }

  #log(level: (typeof logLevels)[number], first: string | LogFields | Error, message: string | undefined): void {
    try {
      if (typeof first === "string") {
        this.#pino[level](ownFields({}, this.#trace, this.#named), first);
        return;
      }
      const error = first instanceof Error ? first : first.err instanceof Error ? first.err : undefined;
      const fields = first instanceof Error ? { err: first } : first;
      this.#pino[level](ownFields(fields, this.#trace, this.#named), message ?? error?.message ?? "");
    } catch {
      // A field that cannot be read (a throwing getter, a revoked proxy) costs its line, not the caller's work.
      this.#root.failedCount++;
    }
  }
}

/** The fields as pino gets them: ours first, none of ours replaced, errors and traces as plain data. */
function ownFields(fields: LogFields, trace: Trace | undefined, named: boolean): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  const given = isTrace(fields.trace) ? fields.trace : trace;
  if (given) {
    own.trace_id = given.traceId;
    own.span_id = given.spanId;
  }
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (key === "trace" && given === value) continue;
    const name = ownNames.has(key) || (key === "service" && named) ? `${key}_` : key;
    if (name === "__proto__") continue;
    own[name] = value instanceof Error ? errorFields(value) : value;
  }
  return own;
}

function isTrace(value: unknown): value is Trace {
  return typeof value === "object" && value !== null && "traceId" in value && "spanId" in value;
}

function rankOf(level: LogLevel): number {
  const known = Object.hasOwn(rank, level) ? rank[level] : undefined;
  if (known === undefined) {
    throw new StartError(
      "LOG_LEVEL_UNKNOWN",
      `logger: level ${JSON.stringify(level)} is unknown. Use one of ${Object.keys(rank).join(", ")}.`,
    );
  }
  return known;
}
