import type { Duration, Json, PlinthError } from "../base/index.ts";
import { assert, error, isErrorCode, toMs } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { IdempotencyClaim, IdempotencyEntry, IdempotencyRow, Statements } from "./idempotency-table.ts";
import { idempotencyTable } from "./idempotency-table.ts";

/**
 * Keys that callers give to requests (`Idempotency-Key`), so that a repeat gets the first answer and changes nothing.
 *
 *     const begun = await store.claim(entry, leaseMs);    one statement
 *     if (begun.state !== "new") return begun;            the recorded answer, or the recorded error
 *     …
 *     database.transaction(async (tx) => {
 *       …the effect…
 *       await store.finish(tx, begun.claim, answer);
 *     });
 *
 * **Promises.** Effect and answer are committed together or not at all: after a crash in between, a repeat begins anew,
 * once the lease of the dead has run out. The same key with another request is refused (IDEMPOTENCY_KEY_REUSED), the same
 * key while it is worked on is refused at once (IDEMPOTENCY_IN_PROGRESS). Who is paused for longer than the lease and
 * wakes up cannot finish any more, so its transaction is undone. A key expires after 24 h, by database time, and is as new
 * then.
 *
 * **Not promised.** What the effect does outside of the transaction. On an engine with one session a repeat waits for the
 * transaction of the first instead of being refused.
 *
 * **Limits.** Scope 500 characters, key 255 of printable ASCII, answer 256 KiB as JSON: a larger one is refused with
 * IDEMPOTENCY_ANSWER_TOO_LARGE, which rolls the effect back, since nobody could repeat it.
 */
export interface IdempotencyStore {
  /** Takes the key for `leaseMs`, or answers what is recorded. Throws what is said above. `on`: the same database, bound. */
  claim(entry: IdempotencyEntry, leaseMs: number, on?: Statements): Promise<Claimed | Recorded>;
  /** Records the answer in the transaction of the effect. Throws IDEMPOTENCY_IN_PROGRESS when somebody has taken over. */
  finish(on: Statements, claim: IdempotencyClaim, answer: Answer): Promise<void>;
  /** Records an error, of work that has left nothing behind. `isFinal` says which errors deserve it. */
  fail(claim: IdempotencyClaim, failure: PlinthError): Promise<void>;
  /** Gives the key back, so that a repeat begins anew at once. Does nothing when there is an answer. */
  release(claim: IdempotencyClaim): Promise<void>;
  /** Deletes up to `limit` keys that have expired, for a sweeper. Answers how many. */
  deleteExpired(limit: number): Promise<number>;
}

export interface Claimed {
  readonly state: "new";
  readonly claim: IdempotencyClaim;
}

/** What a repeat gets. `failed`: throw the error, as the first caller had it thrown. */
export type Recorded =
  | { readonly state: "done"; readonly answer: Answer }
  | { readonly state: "failed"; readonly error: PlinthError };

export interface Answer {
  readonly body?: Json;
}

export interface IdempotencyOptions {
  /** How long a key is remembered. Default 24 h, at most 30 d. */
  readonly keep?: Duration;
}

export const keepMsDefault = 24 * 3_600_000;
const keepMsMax = 30 * 24 * 3_600_000;
const answerBytesMax = 256 * 1024;

/** @param database With `eventMigrations` applied. */
export function createIdempotencyStore(
  database: Database,
  { keep = keepMsDefault }: IdempotencyOptions = {},
): IdempotencyStore {
  const keepMs = toMs(keep);
  assert(keepMs >= 1 && keepMs <= keepMsMax, `keep is 1 ms to 30 days, not ${keep}`);
  const table = idempotencyTable(database.schema);

  const write = async (
    on: Statements,
    claim: IdempotencyClaim,
    state: "done" | "failed",
    value: Json,
  ): Promise<void> => {
    const text = JSON.stringify(value);
    const bytes = Buffer.byteLength(text);
    if (bytes > answerBytesMax) throw tooLarge(bytes);
    if (!(await table.answer(on, claim, state, text))) throw inProgress();
  };

  return {
    async claim(entry, leaseMs, on = database) {
      check(entry);
      const { token, row } = await table.claim(on, entry, { leaseMs, keepMs });
      if (token !== null) return { state: "new", claim: { entry, token } };
      if (row && row.hash !== entry.requestHash) throw reused();
      if (!row || row.state === "begun") throw inProgress();
      return toRecorded(row);
    },
    finish: (on, claim, { body }) => write(on, claim, "done", body === undefined ? {} : { body }),
    async fail(claim, { code, reason, message, details }) {
      await write(database, claim, "failed", { code, reason, message, ...(details && { details: details as Json }) });
    },
    release: (claim) => table.release(database, claim),
    deleteExpired: (limit) => table.deleteExpired(database, limit),
  };
}

function toRecorded({ state, answer }: IdempotencyRow): Recorded {
  const read = JSON.parse(answer ?? "{}");
  if (state === "done") return { state, answer: read as Answer };
  const { code, reason, message, details } = read as { code: string; reason: string; message: string; details?: {} };
  const known = isErrorCode(code) ? code : "unknown";
  return {
    state: "failed",
    error: error(known, message, { reason, executed: "yes", retry: "never", ...(details && { details }) }),
  };
}

function check({ scope, key, requestHash }: IdempotencyEntry): void {
  assert(scope !== "" && scope.length <= 500, "the scope of a key has 1 to 500 characters");
  assert(requestHash !== "" && requestHash.length <= 200, "the hash of a request has 1 to 200 characters");
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return;
  throw error("invalid_argument", "An idempotency key has 1 to 255 printable characters.", {
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

/** `executed: "yes"`: the request is being worked on, and no policy of ours asks again for whoever holds the key. */
function inProgress(): PlinthError {
  return error("aborted", "A request with this idempotency key is being worked on. Ask again for its answer.", {
    reason: "IDEMPOTENCY_IN_PROGRESS",
    executed: "yes",
    retry: 1_000,
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
