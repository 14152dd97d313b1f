import { createHash } from "node:crypto";
import type { Clock, Deadlines, PlinthError, Random } from "../base/index.ts";
import { CallScope, error, servicePrincipal, toPlinthError } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { isConflict, lazyTransaction } from "../database/index.ts";
import { levelOf } from "../resilience/index.ts";
import { createAlarms } from "./alarms.ts";
import type { CrashPoint } from "./crash-points.ts";
import type { DeadLetterStore } from "./dead-letter-store.ts";
import type { Delivery } from "./driver.ts";
import type { EventMessage } from "./event.ts";
import { hashOf, traceOf } from "./event.ts";
import type { EventLog } from "./event-log.ts";
import type { Gathering } from "./gathering.ts";
import type { Found, Inbox, InboxEntry } from "./inbox.ts";
import { Redeliver } from "./redeliver.ts";
import { isTerminal, waitAfter } from "./retry.ts";
import type { RunningCalls } from "./running-calls.ts";
import type { HandlerDelivery, SubscriptionPlan } from "./subscription.ts";

/**
 * One delivery from beginning to end. `done`: it took effect, now or before. `dead`: it is a dead letter. Anything else
 * is thrown as a `Redeliver`.
 *
 *   check the attempts → check type and payload → handler { transaction: inbox row → effect } → commit → done
 *
 * An event that cannot be understood goes to the dead letters without an attempt; one that fails for good, or for the
 * last time, afterwards. Whatever goes wrong before the handler runs is not the event's fault and costs it no attempt.
 */
export type Handling = (delivery: Delivery) => Promise<"done" | "dead">;

export interface HandlingParts {
  readonly service: string;
  /** The consumer's own; undefined where it has none. */
  readonly database: Database | undefined;
  readonly inbox: Inbox | undefined;
  /** Looks into the inbox, for all deliveries that begin at the same time. */
  readonly looking: Gathering<InboxEntry, Found> | undefined;
  /** Where dead letters are kept, and in which database. */
  readonly store: DeadLetterStore;
  readonly storeDatabase: Database;
  readonly newId: () => string;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly random: Random;
  readonly log: EventLog;
  readonly crashPoint: CrashPoint;
  readonly calls: RunningCalls;
}

export interface HandlingCounts {
  handledCount: number;
  duplicateCount: number;
  retriedCount: number;
  deadCount: number;
}

/** How long to wait when the consumer's own house is not in order: its database does not answer. */
const unreadyMs = 5_000;
const unknownReason = "EVENT_TYPE_UNKNOWN";
const incompatibleReason = "EVENT_PAYLOAD_INCOMPATIBLE";
const conflictAttempts = 5;
const conflictWaitMs = 25;

export function createHandling(plan: SubscriptionPlan, parts: HandlingParts, counts: HandlingCounts): Handling {
  const { log, crashPoint, clock, calls } = parts;
  const principal = servicePrincipal(parts.service);

  const bury = async (delivery: Delivery, failure: PlinthError): Promise<"done" | "dead"> => {
    try {
      if (await writeDown(plan, parts, delivery, failure)) return "done";
    } catch (thrown) {
      log.error({ ...about(plan, delivery), err: thrown }, "a dead letter could not be written; the event comes again");
      throw new Redeliver(unreadyMs, { counted: false, cause: thrown });
    }
    counts.deadCount++;
    crashPoint("dead-letter.committed");
    alarm(delivery, failure);
    return "dead";
  };
  const alarms = createAlarms(clock);
  /** What this version cannot read comes by the thousand: it is told once a minute, with how many there were. */
  const alarm = (delivery: Delivery, failure: PlinthError): void => {
    const { type } = delivery.message;
    const isUnread = failure.reason === unknownReason || failure.reason === incompatibleReason;
    const untold = isUnread ? alarms.raise(`${failure.reason} ${type}`) : 0;
    if (untold === undefined) return;
    const fields = { ...about(plan, delivery), reason: failure.reason, err: failure, ...(untold > 0 && { untold }) };
    log.error(fields, "the event is a dead letter now");
  };

  const refuse = (delivery: Delivery, failure: PlinthError, started: boolean): Redeliver => {
    const waitMs = started ? plan.retries.waitMs(delivery.attempt, parts.random) : unreadyMs;
    const delayMs = waitAfter(failure, waitMs);
    counts.retriedCount++;
    log.warn(
      { ...about(plan, delivery), delayMs, err: failure.cause ?? failure },
      "the event was not handled; it comes again",
    );
    return new Redeliver(delayMs, { counted: started, cause: failure });
  };

  const settle = (outcome: "new" | "duplicate"): "done" => {
    crashPoint("inbox.committed");
    if (outcome === "duplicate") counts.duplicateCount++;
    else counts.handledCount++;
    return "done";
  };

  return async (delivery) => {
    const { message, attempt } = delivery;
    if (attempt > plan.retries.attemptsMax) {
      return bury({ ...delivery, attempt: attempt - 1 }, exhausted(attempt - 1));
    }
    const read = readPayload(plan, message);
    // The handler does not get to see it: that is no attempt.
    if ("failure" in read) return bury({ ...delivery, attempt: attempt - 1 }, read.failure);
    const scope = new CallScope({
      principal,
      deadline: clock.now() + plan.deadlineMs,
      trace: traceOf(message),
      idempotencyKey: message.id,
      caller: message.source,
      attempt,
      deadlines: parts.deadlines,
      // It comes again: whoever is asked on its behalf and has too much to do may refuse it before what users wait for.
      criticality: levelOf("sheddable_plus"),
    });
    calls.add(scope);
    // A replica may be behind the event: reads ask the primary first how far it is.
    scope.position.demandCurrent();
    const run: Run = {
      plan,
      scope,
      message,
      attempt,
      replayed: delivery.replay !== undefined || delivery.fromDeadLetter === true,
      entry: entryOf(plan, delivery),
      isFirst: delivery.isFirst === true,
      payload: read.payload,
      started: false,
    };
    try {
      const outcome = parts.database ? await takeEffect(run, parts, parts.database) : await runHandler(run, undefined);
      if (outcome !== "collision") return settle(outcome);
    } catch (thrown) {
      // The handler itself asked to be called later.
      if (thrown instanceof Redeliver) throw thrown;
      // Somebody else takes it at once.
      if (calls.wasEnded(scope)) throw new Redeliver(0, { counted: false, cause: thrown });
      const failure = toPlinthError(thrown);
      if (!run.started || (attempt < plan.retries.attemptsMax && !isTerminal(failure))) {
        throw refuse(delivery, failure, run.started);
      }
      return bury(delivery, failure);
    } finally {
      calls.delete(scope);
      scope.finish();
    }
    return bury(delivery, collision(message));
  };
}

interface Run extends Omit<HandlerDelivery, "tx"> {
  readonly plan: SubscriptionPlan;
  readonly payload: unknown;
  readonly entry: InboxEntry;
  readonly isFirst: boolean;
  started: boolean;
}

/** Runs the handler anew after a conflict with another transaction, as `Database.transaction` would. */
async function takeEffect(run: Run, parts: HandlingParts, database: Database): Promise<Found> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryEffect(run, parts, database);
    } catch (thrown) {
      if (!isConflict(thrown) || attempt >= conflictAttempts || run.scope.cancelled) throw thrown;
      await parts.clock.sleep(parts.random.next() * conflictWaitMs * 2 ** attempt, run.scope.signal);
    }
  }
}

/**
 * The inbox row first, then the effect, in one transaction, which begins when the handler first uses it: before that
 * the handler may call other services, without keeping a session from them. One that was handled before does not run.
 */
async function tryEffect(run: Run, { inbox, looking, crashPoint }: HandlingParts, unbound: Database): Promise<Found> {
  const database = unbound.bind(run.scope);
  const { entry } = run;
  const remembers = run.plan.hasInbox ? inbox : undefined;
  let outcome: Found = (!run.isFirst && remembers && (await looking?.add(entry))) || "new";
  if (outcome !== "new") return outcome;
  let opened = false;
  let isKnown = false;
  const remember = async (tx: Transaction): Promise<void> => {
    opened = true;
    if (!remembers || (await remembers.insert(tx, entry))) return;
    isKnown = true;
    throw new Error("handled before");
  };
  // The row goes with the handler's first statement, which is undone in the rare case that somebody else was faster.
  const effect = lazyTransaction(database, remember, { together: true });
  try {
    await runHandler(run, effect.tx);
    await effect.begin();
    crashPoint("inbox.written");
    await effect.commit();
  } catch (thrown) {
    await effect.rollback();
    // The database gave no session: that is not the event's fault either.
    if (effect.begun && !opened) run.started = false;
    if (!remembers || !isKnown) throw thrown;
    outcome = await remembers.look(database, entry);
    // It was there and is gone: whoever had it was undone, or it was forgotten just now.
    if (outcome === "new") throw thrown;
  }
  return outcome;
}

/** Runs the handler, and leaves it at the deadline: the transaction is rolled back under one that does not stop. */
async function runHandler(run: Run, tx: Transaction | undefined): Promise<"new"> {
  const { plan, scope, message, attempt, replayed, payload } = run;
  if (scope.cancelled) throw scope.cancelled;
  run.started = true;
  let detach = () => {};
  const late = new Promise<never>((_, reject) => {
    detach = scope.onCancel(reject);
  });
  try {
    await Promise.race([plan.handle(payload, { tx, scope, message, attempt, replayed }), late]);
  } finally {
    detach();
  }
  return "new";
}

/** Writes the dead letter, unless it shows that the message took effect after all: then answers true. */
async function writeDown(
  plan: SubscriptionPlan,
  parts: HandlingParts,
  delivery: Delivery,
  failure: PlinthError,
): Promise<boolean> {
  const { inbox, store, storeDatabase, newId } = parts;
  return storeDatabase.transaction(async (tx) => {
    // A commit whose answer was lost looks like a failure: the inbox knows better.
    if (plan.hasInbox && inbox && (await inbox.look(tx, entryOf(plan, delivery))) === "duplicate") return true;
    await store.insert(tx, { id: newId(), subscription: plan.name, delivery, failure });
    return false;
  });
}

function readPayload(plan: SubscriptionPlan, message: EventMessage): { payload: unknown } | { failure: PlinthError } {
  const type = plan.types.get(message.type);
  if (!type) {
    const failure = error("unimplemented", `This version does not handle ${message.type}. Replay it once one does.`, {
      reason: unknownReason,
      executed: "no",
    });
    return { failure };
  }
  try {
    return { payload: type.payload.parse(JSON.parse(message.payload)) };
  } catch (cause) {
    const failure = error(
      "invalid_argument",
      `The payload of ${message.type} does not fit the schema of this version.`,
      {
        reason: incompatibleReason,
        executed: "no",
        cause,
      },
    );
    return { failure };
  }
}

/**
 * A replay that is to run what was handled has entries of its own: then each event runs once for each such replay, however
 * often it is delivered.
 */
function entryOf(plan: SubscriptionPlan, { message, replay, payloadHash }: Delivery): InboxEntry {
  const messageId = replay?.again ? idOf(`${replay.id} ${message.id}`) : message.id;
  return { subscription: plan.name, messageId, payloadHash: payloadHash ?? hashOf(message) };
}

/** The same id for the same text: a UUID of version 8. */
function idOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}

function about(plan: SubscriptionPlan, { message, attempt }: Delivery) {
  return { subscription: plan.name, type: message.type, key: message.key, eventId: message.id, attempt };
}

function exhausted(attempts: number): PlinthError {
  return error(
    "internal",
    `Each of ${attempts} attempts ended without an answer: the process died, or lost its lease.`,
    {
      reason: "EVENT_ATTEMPTS_EXHAUSTED",
    },
  );
}

function collision(message: EventMessage): PlinthError {
  return error("already_exists", `Another message with the id ${message.id} was handled before.`, {
    reason: "EVENT_ID_COLLISION",
    executed: "no",
  });
}
