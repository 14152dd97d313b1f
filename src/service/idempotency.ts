import { hash } from "node:crypto";
import type { CallContext, CallScope, Clock, Json, PlinthError } from "../base/index.ts";
import { error } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { CrashPoint, IdempotencyStore, Once, Outcome } from "../events/index.ts";
import { isFinal, keepMsDefault, runOnce } from "../events/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { Operation } from "./operation.ts";

/**
 * Where a service remembers its answers, for methods that honour idempotency keys: `idempotent: "keyed"`, or
 * `{ key: "required" }`.
 *
 * A call with a key is answered once for its method and whoever calls: a repeat gets the recorded answer, or the recorded
 * declared error, and its handler does not run. The key with another request is refused with 422, while the first call
 * runs with 409. What the handler does in `context.once` is committed with the answer, or not at all:
 *
 *     placeBid: ({ amount }, { once }) => once(async (tx) => { …; return { id, amount }; })
 *
 * Who calls: kind, issuer, subject, tenant and client of the principal; scopes do not count, for a token may be renewed.
 * Callers without a token share their keys, so these are to be hard to guess. What makes the request: its message, as the
 * contract declares it.
 *
 * **Sharded services.** The answer lies with the data: `once(effect, { at: shardKey })`. The key is looked up there and
 * then, so what a handler does before `once` is done again for a repeat, and a key means something to one shard key.
 */
export interface Keeper {
  /** Of the shard with that key, in a sharded service; otherwise the service's own. */
  at(shardKey: string | undefined): { readonly database: Database; store(keepMs: number): IdempotencyStore };
  readonly isSharded: boolean;
  readonly crashPoint: CrashPoint;
}

export interface KeyedParts {
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A handler that is given its `once`. */
type Work = (request: unknown, context: CallContext, once: AnyOnce) => unknown;
type AnyOnce = (effect: (tx: Transaction) => Promise<unknown>, place?: { readonly at: string }) => Promise<unknown>;

/** So much longer than the caller waits: a handler that is late is not overtaken at once. */
const leaseSlackMs = 1_000;
/** No claim of a process that died is in the way for longer. */
const leaseMsMax = 15 * 60_000;

export function keepAnswers(
  operation: Operation,
  work: Work,
  { keeper, clock, log }: KeyedParts,
): (request: unknown, context: CallContext) => unknown {
  const { id, keys, errors, request: message, response } = operation;
  const { isRequired = false, keepMs = keepMsDefault } = keys ?? {};
  const toBody = (answer: unknown) => (response ? (response.copy(answer) as Json) : undefined);
  const isAnswer = (failure: PlinthError) => isFinal(failure) && errors.get(failure.reason) === failure.code;
  const onUnrecorded = (thrown: unknown) =>
    log.warn({ operation: id, err: thrown }, `an answer of ${id} was not recorded: a repeat will begin anew`);

  const run = async (
    key: string,
    request: unknown,
    context: CallContext,
    shardKey: string | undefined,
    begin: (once: Once) => Promise<unknown>,
  ): Promise<unknown> => {
    const place = keeper.at(shardKey);
    const outcome = await runOnce(
      {
        store: place.store(keepMs),
        database: place.database.bind(context),
        entry: {
          scope: scopeOf(id, context, shardKey),
          key,
          requestHash: hashOf(message.stringify(request)),
          shardKey,
        },
        leaseMs: Math.min(leaseMsMax, Math.max(0, context.deadline - clock.now()) + leaseSlackMs),
        isFinal: isAnswer,
        toBody,
        crashPoint: keeper.crashPoint,
        onUnrecorded,
      },
      begin,
    );
    return answerOf(outcome, context);
  };

  return (request, context) => {
    const { idempotencyKey: key } = context;
    if (key === undefined && isRequired) throw keyMissing();
    if (key === undefined) {
      return work(request, context, (effect, place) => keeper.at(place?.at).database.bind(context).transaction(effect));
    }
    if (!keeper.isSharded) {
      return run(key, request, context, undefined, async (once) => work(request, context, once as AnyOnce));
    }
    return work(request, context, (effect, place) => run(key, request, context, place?.at, (once) => once(effect)));
  };
}

function answerOf(outcome: Outcome, context: CallContext): unknown {
  if (!outcome.isRepeat) return outcome.result;
  (context as CallScope).isRepeat = true;
  if (outcome.state === "failed") throw outcome.error;
  return outcome.answer.body;
}

function scopeOf(id: string, { principal }: CallContext, shardKey: string | undefined): string {
  const { kind, subject, claims } = principal;
  const { iss = null, tenant = null, client_id = null } = claims;
  const text = JSON.stringify([kind, subject, iss, tenant, client_id, ...(shardKey === undefined ? [] : [shardKey])]);
  return `${id} ${text.length <= 300 ? text : hashOf(text)}`;
}

function hashOf(text: string): string {
  return hash("sha256", text, "base64url");
}

function keyMissing(): PlinthError {
  return error("invalid_argument", "This needs an Idempotency-Key: a text of your own, new for each request.", {
    reason: "IDEMPOTENCY_KEY_MISSING",
    executed: "no",
  });
}
