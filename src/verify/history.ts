import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Clock, Json } from "../base/index.ts";
import { error, systemClock } from "../base/index.ts";

/**
 * What was done and what came of it, as it happened: the evidence that checkers judge.
 *
 * One line of JSON when an operation begins and one when it ends: `ok`, `fail` (it certainly did not happen) or
 * `unknown` (it may have happened, and nobody will ever say). An operation without an end is unknown. Times are
 * milliseconds since 1970, so that the histories of several processes of one machine can be put together.
 *
 * Each line is with the operating system before its method returns, so a history survives the process that writes it.
 * Limits: a million entries and 64 KiB a line, unless told otherwise; beyond either, `HISTORY_FULL`.
 */
export interface History {
  /** Notes that an operation begins. Its end is told exactly once. */
  begin(operation: { process: string; action: string; key?: string; value?: Json }): Begun;
  /** Ends the file. The hash is SHA-256 over its bytes. */
  close(): HistoryFile;
}

export interface Begun {
  ok(result?: Json): void;
  fail(reason?: string): void;
  unknown(reason?: string): void;
}

export interface HistoryFile {
  readonly path: string;
  readonly entryCount: number;
  readonly hash: string;
}

export type Outcome = "ok" | "fail" | "unknown";

/** An operation with its end. */
export interface Operation {
  readonly process: string;
  readonly action: string;
  readonly key: string | undefined;
  readonly value: Json | undefined;
  readonly outcome: Outcome;
  /** What an ok operation gave back. */
  readonly result: Json | undefined;
  readonly reason: string | undefined;
  readonly beganAt: number;
  /** Undefined: nobody heard of its end. */
  readonly endedAt: number | undefined;
}

export interface HistoryLimits {
  readonly entriesMax?: number;
  readonly lineBytesMax?: number;
}

const limitsOf = ({ entriesMax = 1_000_000, lineBytesMax = 65_536 }: HistoryLimits) => ({ entriesMax, lineBytesMax });

/** Begins a file, which must not exist yet: evidence is never written over. */
export function createHistory(path: string, options: HistoryLimits & { readonly clock?: Clock } = {}): History {
  const { clock = systemClock } = options;
  const { entriesMax, lineBytesMax } = limitsOf(options);
  const file = openSync(path, "wx");
  const hash = createHash("sha256");
  let entryCount = 0;
  let lastId = 0;
  let isClosed = false;
  const append = (entry: Record<string, unknown>): void => {
    const line = Buffer.from(`${JSON.stringify({ ...entry, at: clock.wallNow() })}\n`);
    if (entryCount >= entriesMax) throw full(`it has ${entriesMax} entries`);
    if (line.length > lineBytesMax) throw full(`an entry has ${line.length} bytes, at most ${lineBytesMax}`);
    if (isClosed) throw full("it is closed");
    writeSync(file, line);
    hash.update(line);
    entryCount++;
  };
  return {
    begin(operation) {
      const id = ++lastId;
      append({ type: "invoke", id, ...operation });
      let isOver = false;
      const end = (type: Outcome, rest: Record<string, unknown>): void => {
        if (isOver) throw new Error(`assertion failed: operation ${id} has ended already`);
        isOver = true;
        append({ type, id, ...rest });
      };
      return {
        ok: (result) => end("ok", { result }),
        fail: (reason) => end("fail", { reason }),
        unknown: (reason) => end("unknown", { reason }),
      };
    },
    close() {
      if (!isClosed) closeSync(file);
      isClosed = true;
      return { path, entryCount, hash: hash.copy().digest("hex") };
    },
  };
}

interface Entry {
  readonly type: "invoke" | Outcome;
  readonly id: number;
  readonly at: number;
  readonly process?: string;
  readonly action?: string;
  readonly key?: string;
  readonly value?: Json;
  readonly result?: Json;
  readonly reason?: string;
}

/** Reads a file back: its operations in the order in which they began, and the hash of what was read. */
export async function readHistory(
  path: string,
  limits: HistoryLimits = {},
): Promise<{ readonly operations: readonly Operation[]; readonly hash: string }> {
  const { entriesMax, lineBytesMax } = limitsOf(limits);
  const hash = createHash("sha256");
  const begun = new Map<number, Entry>();
  const ended = new Map<number, Entry>();
  let rest = "";
  let number = 0;
  const take = (line: string): void => {
    number++;
    const entry = parseEntry(line, number, path);
    if (number > entriesMax) throw full(`${path} has more than ${entriesMax} entries`);
    const known = entry.type === "invoke" ? begun : ended;
    if (known.has(entry.id) || (entry.type !== "invoke" && !begun.has(entry.id))) throw invalid(path, number);
    known.set(entry.id, entry);
  };
  const file = await open(path);
  try {
    for await (const chunk of file.createReadStream()) {
      hash.update(chunk);
      const lines = (rest + chunk.toString("latin1")).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > lineBytesMax) throw full(`${path} has a line of more than ${lineBytesMax} bytes`);
      for (const line of lines) take(line);
    }
  } finally {
    await file.close();
  }
  // The last line of a process that was killed may be half there: what it would have said is unknown.
  return {
    operations: [...begun.values()].map((entry) => toOperation(entry, ended.get(entry.id))),
    hash: hash.digest("hex"),
  };
}

function parseEntry(line: string, number: number, path: string): Entry {
  try {
    const entry = JSON.parse(Buffer.from(line, "latin1").toString("utf8")) as Entry;
    const isWhole = entry.type !== "invoke" || (typeof entry.process === "string" && typeof entry.action === "string");
    if (["invoke", "ok", "fail", "unknown"].includes(entry.type) && Number.isInteger(entry.id) && isWhole) return entry;
  } catch (cause) {
    throw invalid(path, number, cause);
  }
  throw invalid(path, number);
}

function toOperation(begun: Entry, ended: Entry | undefined): Operation {
  return {
    process: begun.process ?? "",
    action: begun.action ?? "",
    key: begun.key,
    value: begun.value,
    outcome: ended === undefined || ended.type === "invoke" ? "unknown" : ended.type,
    result: ended?.result,
    reason: ended?.reason,
    beganAt: begun.at,
    endedAt: ended?.at,
  };
}

function full(what: string): Error {
  return error("resource_exhausted", `The history is full: ${what}.`, { reason: "HISTORY_FULL", retry: "never" });
}

function invalid(path: string, line: number, cause?: unknown): Error {
  return error("data_loss", `${path}:${line} is no entry of a history.`, { reason: "HISTORY_DAMAGED", cause });
}
