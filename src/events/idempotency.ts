import type { Duration, ErrorCode, Json, PlinthError } from "../base/index.ts";
import { assert, error, isErrorCode, toMs, toPlinthError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { IdempotencyEntry, IdempotencyRow } from "./idempotency-table.ts";
import { idempotencyTable } from "./idempotency-table.ts";

/**
 * Keys that callers give to requests (`Idempotency-Key`), so that a repeat gets the first answer and changes nothing.
 *
 *     store.lookup(entry)                             a repeat long after: no transaction at all
 *     database.transaction(async (tx) => {
 *       const begun = await store.begin(tx, entry);   the first statement
 *       if (begun.state !== "new") return begun;      the recorded answer, or the recorded error
 *       …the effect…
 *       await store.finish(tx, entry, answer);
 *     });
 *
 * **Promises.** Key, effect and answer are committed together or not at all: after a crash in between, a repeat begins
 * anew. The same key with another request is refused (IDEMPOTENCY_KEY_REUSED), the same key while it is worked on is
 * refused at once (IDEMPOTENCY_IN_PROGRESS) and waits for nobody. A key expires after 24 h, by database time, and is as
 * new then.
 *
 * **Not promised.** What the effect does outside of the database. A transaction that commits after `begin` without
 * `finish` or `fail` has had its effect and has no answer: repeats get IDEMPOTENCY_ANSWER_MISSING rather than a second
 * effect. On an engine with one session a repeat waits for the first instead of being refused.
 *
 * **Limits.** Scope 500 characters, key 255 of printable ASCII, answer 256 KiB as JSON: a larger one is refused with
 * IDEMPOTENCY_ANSWER_TOO_LARGE, which rolls the effect back, since nobody could repeat it.
 */
export interface IdempotencyStore {
  begin(tx: Transaction, entry: IdempotencyEntry): Promise<{ readonly state: "new" } | Recorded>;
  finish(tx: Transaction, entry: IdempotencyEntry, answer: Answer): Promise<void>;
  /**
   * Records an error that came after the work began. What the work wrote is still in `tx`: undo it first, with a
   * savepoint. `isFinal` says which errors deserve it; that a request was not valid never does.
   */
  fail(tx: Transaction, entry: IdempotencyEntry, failure: PlinthError): Promise<void>;
  /** The fast path, outside of any transaction. Undefined when nothing is recorded. Throws what `begin` throws. */
  lookup(entry: IdempotencyEntry): Promise<Recorded | undefined>;
  /** Deletes up to `limit` keys that have expired, for a sweeper. Answers how many. */
  deleteExpired(limit: number): Promise<number>;
}

/** What a repeat gets. `failed`: throw the error, as the first caller had it thrown. */
export type Recorded =
  | { readonly state: "done"; readonly answer: Answer }
  | { readonly state: "failed"; readonly error: PlinthError };

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export interface IdempotencyOptions {
  /** How long a key is remembered. Default 24 h, at most 30 d. */
  readonly keep?: Duration;
}

const keepMsMax = 30 * 24 * 3_600_000;
const answerBytesMax = 256 * 1024;

/** @param database With `eventMigrations` applied. */
export function createIdempotencyStore(
  database: Database,
  { keep = "24h" }: IdempotencyOptions = {},
): IdempotencyStore {
  const keepMs = toMs(keep);
  assert(keepMs >= 1 && keepMs <= keepMsMax, `keep is 1 ms to 30 days, not ${keep}`);
  const table = idempotencyTable(database.schema);

  const write = async (
    tx: Transaction,
    entry: IdempotencyEntry,
    state: "done" | "failed",
    value: Json,
  ): Promise<void> => {
    const text = JSON.stringify(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > answerBytesMax) throw tooLarge(bytes);
    const isBegun = await table.answer(tx, entry, state, text);
    assert(isBegun, "begin(tx, entry) comes before finish and fail, in the same transaction, and answered new");
  };

  return {
    async begin(tx, entry) {
      check(entry);
      if (!(await table.claim(tx, entry))) throw inProgress();
      // A second statement, so that it sees what was committed before the claim was free.
      const row = await table.look(tx, entry);
      if (row) return toRecorded(row, entry);
      if (!(await table.insert(tx, entry, keepMs))) throw inProgress();
      return { state: "new" };
    },
    finish: (tx, entry, { status, headers, body }) =>
      write(tx, entry, "done", { status, ...(headers && { headers }), ...(body !== undefined && { body }) }),
    async fail(tx, entry, failure) {
      const { code, reason, message, details } = failure;
      await write(tx, entry, "failed", { code, reason, message, ...(details && { details: details as Json }) });
    },
    async lookup(entry) {
      check(entry);
      const row = await table.look(database, entry);
      return row && toRecorded(row, entry);
    },
    deleteExpired: (limit) => table.deleteExpired(database, limit),
  };
}

export interface OnceOptions extends IdempotencyOptions {
  readonly crashPoint?: CrashPoint;
}

/**
 * Runs `run` in a transaction unless it ran before under the same key: then what it returned, or threw, comes back. Its
 * result becomes JSON on the way. `run` may run again after a conflict, as in `database.transaction`.
 */
export async function once<R extends Json | undefined | void>(
  database: Database,
  entry: IdempotencyEntry,
  run: (tx: Transaction) => Promise<R>,
  options: OnceOptions = {},
): Promise<R> {
  const store = createIdempotencyStore(database, options);
  const crashPoint = options.crashPoint ?? noCrashPoint;
  const recorded =
    (await store.lookup(entry)) ??
    (await database.transaction(async (tx): Promise<Recorded> => {
      const begun = await store.begin(tx, entry);
      if (begun.state !== "new") return begun;
      const outcome = await tryRun(tx, run);
      if (outcome.state === "failed") await store.fail(tx, entry, outcome.error);
      else await store.finish(tx, entry, outcome.answer);
      crashPoint("idempotency.written");
      return outcome;
    }));
  crashPoint("idempotency.committed");
  if (recorded.state === "failed") throw recorded.error;
  return recorded.answer.body as R;
}

async function tryRun(tx: Transaction, run: (tx: Transaction) => Promise<Json | undefined | void>): Promise<Recorded> {
  try {
    const body = await tx.transaction(run);
    return { state: "done", answer: { status: 200, ...(body !== undefined && { body }) } };
  } catch (thrown) {
    const failure = toPlinthError(thrown);
    if (!isFinal(failure)) throw thrown;
    return { state: "failed", error: failure };
  }
}

const finalCodes: ReadonlySet<ErrorCode> = new Set([
  "failed_precondition",
  "already_exists",
  "not_found",
  "out_of_range",
]);

/**
 * True for an error that answers the request: the card was declined, the stock is gone. Not that the request was no
 * request, that nobody may make it, that the database was away, or that we have a bug: a repeat of those is welcome.
 */
export function isFinal(failure: PlinthError): boolean {
  return finalCodes.has(failure.code) && failure.retry === "never";
}

function toRecorded({ hash, state, answer }: IdempotencyRow, entry: IdempotencyEntry): Recorded {
  if (hash !== entry.requestHash) throw reused();
  if (state === "begun" || answer === null) throw answerMissing();
  const read = JSON.parse(answer);
  if (state === "done") return { state, answer: read as Answer };
  const { code, reason, message, details } = read as { code: string; reason: string; message: string; details?: {} };
  const known = isErrorCode(code) ? code : "unknown";
  return {
    state,
    error: error(known, message, { reason, executed: "yes", retry: "never", ...(details && { details }) }),
  };
}

function check({ scope, key, requestHash }: IdempotencyEntry): void {
  assert(scope !== "" && scope.length <= 500, "the scope of a key has 1 to 500 characters");
  assert(requestHash !== "" && requestHash.length <= 200, "the hash of a request has 1 to 200 characters");
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return;
  throw error("invalid_argument", "An idempotency key has 1 to 255 printable characters without spaces.", {
    reason: "IDEMPOTENCY_KEY_UNUSABLE",
    executed: "no",
  });
}

function reused(): PlinthError {
  return error("invalid_argument", "This idempotency key was used for another request. Give each request its own.", {
    reason: "IDEMPOTENCY_KEY_REUSED",
    executed: "no",
  });
}

function inProgress(): PlinthError {
  return error("aborted", "A request with this idempotency key is being worked on. Ask again for its answer.", {
    reason: "IDEMPOTENCY_IN_PROGRESS",
    executed: "no",
    retry: 1_000,
  });
}

function answerMissing(): PlinthError {
  return error("data_loss", "A request with this idempotency key took effect, and its answer was not recorded.", {
    reason: "IDEMPOTENCY_ANSWER_MISSING",
    executed: "yes",
    retry: "never",
  });
}

function tooLarge(bytes: number): PlinthError {
  return error("resource_exhausted", "The answer is too large to be kept for an idempotency key.", {
    reason: "IDEMPOTENCY_ANSWER_TOO_LARGE",
    executed: "no",
    retry: "never",
    details: { bytes, bytesMax: answerBytesMax },
  });
}
