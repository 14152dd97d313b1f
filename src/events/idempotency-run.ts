import type { ErrorCode, Json, PlinthError } from "../base/index.ts";
import { assert, toPlinthError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { IdempotencyStore, Recorded } from "./idempotency.ts";
import type { IdempotencyClaim, IdempotencyEntry } from "./idempotency-table.ts";

/** Runs `effect` in the transaction that records its answer. May run it again after a conflict, as `database.transaction` does. */
export type Once = <R>(effect: (tx: Transaction) => Promise<R>) => Promise<R>;

export interface OnceOptions {
  readonly store: IdempotencyStore;
  /** Of the store, bound to the call. */
  readonly database: Database;
  readonly entry: IdempotencyEntry;
  /** As long as the work may take: after it a repeat begins anew. */
  readonly leaseMs: number;
  /** Which errors answer the request. Default `isFinal`. */
  readonly isFinal?: (failure: PlinthError) => boolean;
  /** What of a result is recorded. Default: all of it. */
  readonly toBody?: (result: unknown) => Json | undefined;
  readonly crashPoint?: CrashPoint;
  /** Hears what kept an answer or an error from being recorded, after the work was done. Nobody else does. */
  readonly onUnrecorded?: (thrown: unknown) => void;
}

/** `isRepeat`: it was recorded before, and `work` did not run. */
export type Outcome = Recorded & { readonly isRepeat: boolean; readonly result?: unknown };

/**
 * One request under a key: `work` runs, unless it has an answer already. What it does in `once` is committed with its
 * answer, or not at all. Where it never calls it, what it returned is recorded afterwards, in a statement of its own: a
 * crash in between is as if it had not run. An error that answers the request is recorded as well; of others nothing is,
 * and a repeat begins anew.
 */
export async function runOnce(options: OnceOptions, work: (once: Once) => Promise<unknown>): Promise<Outcome> {
  const { store, entry, leaseMs, toBody = asIs } = options;
  const begun = await store.claim(entry, leaseMs, options.database);
  if (begun.state !== "new") return { ...begun, isRepeat: true };
  const { claim } = begun;
  const effect = createEffect(options, claim);
  try {
    const result = await work(effect.once);
    assert(
      !effect.isDone || result === effect.result,
      "a handler answers with what once() returned: that is what a repeat gets",
    );
    if (!effect.isDone) await attempt(options, () => store.finish(options.database, claim, answerOf(toBody(result))));
    return { state: "done", answer: answerOf(toBody(result)), isRepeat: false, result };
  } catch (thrown) {
    // After the effect there is an answer already, which a repeat gets.
    if (effect.isDone) throw thrown;
    const failure = toPlinthError(thrown);
    const isAnswer = (options.isFinal ?? isFinal)(failure);
    await attempt(options, () => (isAnswer ? store.fail(claim, failure) : store.release(claim)));
    throw thrown;
  }
}

interface Effect {
  readonly once: Once;
  isDone: boolean;
  result: unknown;
}

function createEffect(options: OnceOptions, claim: IdempotencyClaim): Effect {
  const { store, database, toBody = asIs, crashPoint = noCrashPoint } = options;
  let isBegun = false;
  const effect: Effect = {
    isDone: false,
    result: undefined,
    async once(run) {
      assert(!isBegun, "once() is called once in a call: one key has one transaction");
      isBegun = true;
      const result = await database.transaction(async (tx) => {
        const made = await run(tx);
        await store.finish(tx, claim, answerOf(toBody(made)));
        crashPoint("idempotency.written");
        return made;
      });
      crashPoint("idempotency.committed");
      effect.isDone = true;
      effect.result = result;
      return result;
    },
  };
  return effect;
}

/** What was done is done: that it could not be written down is for the log. */
async function attempt({ onUnrecorded }: OnceOptions, record: () => Promise<void>): Promise<void> {
  try {
    await record();
  } catch (thrown) {
    onUnrecorded?.(thrown);
  }
}

function asIs(result: unknown): Json | undefined {
  return result as Json | undefined;
}

function answerOf(body: Json | undefined): { readonly body?: Json } {
  return body === undefined ? {} : { body };
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
