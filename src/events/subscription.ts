import type { CallScope, Duration } from "../base/index.ts";
import { StartError, toMs } from "../base/index.ts";
import type { Transaction } from "../database/index.ts";
import type { EventMessage, EventType } from "./event.ts";
import type { RetryPlan } from "./retry.ts";
import { planRetries, retriesDefault } from "./retry.ts";
import { checkSubscriber } from "./subscriber.ts";

/** What a service does with the events that it subscribes to. */
export interface Subscription {
  /** `"email.sendMail"`. Marks how far it has come, so it stays when the code changes. */
  readonly name: string;
  readonly types: readonly EventType[];
  /** Resolving commits `tx` and ends the delivery; throwing rolls it back, and the event comes again. */
  handle(payload: any, delivery: HandlerDelivery): Promise<void>;
  /** Waits before the attempts after the first. Default 1 s, 5 s, 30 s, 2 min, 10 min; then it is a dead letter. */
  readonly retries?: readonly Duration[];
  /** Events handled at a time. Default 8. Those of one key never overlap. */
  readonly concurrency?: number;
  /** How long one attempt may take. Default 30 s. */
  readonly deadline?: Duration;
  /** The handler may run more than once for an event and does no harm. Needed where the service has no database. */
  readonly idempotent?: boolean;
  /** False leaves the inbox out, so that a repeated delivery takes effect again. For tests that show what the inbox is for. */
  readonly inbox?: boolean;
}

export interface HandlerDelivery {
  /**
   * The transaction in which the event takes effect, once. Begins with its first statement: call other services before
   * that, not within. Undefined where the service has no database.
   */
  readonly tx: Transaction | undefined;
  /** Acts for the service itself, in the trace of the publisher. `idempotencyKey` is the event's id. */
  readonly scope: CallScope;
  /** `sequence` in it says whether one of the key is missing before it. */
  readonly message: EventMessage;
  /** 1 for the first. */
  readonly attempt: number;
  /** An operator had it delivered again: other events of its key may have taken effect after it. */
  readonly replayed: boolean;
}

/** A subscription with everything decided that can be at start. */
export interface SubscriptionPlan {
  readonly name: string;
  readonly types: ReadonlyMap<string, EventType>;
  readonly handle: Subscription["handle"];
  readonly retries: RetryPlan;
  readonly concurrency: number;
  readonly deadlineMs: number;
  readonly hasInbox: boolean;
}

export function planSubscription(subscription: Subscription, service: string, hasDatabase: boolean): SubscriptionPlan {
  const { name, concurrency = 8, inbox = true } = subscription;
  const where = `service "${service}", subscription "${name}"`;
  checkSubscriber({ subscription: name, types: subscription.types.map((type) => type.name), concurrency });
  if (!hasDatabase && subscription.idempotent !== true) {
    throw new StartError(
      "SUBSCRIPTION_UNSAFE",
      `${where}: the service has no database, so a repeated delivery runs again. Give the service a database, or declare "idempotent: true" when that does no harm.`,
    );
  }
  const deadlineMs = toMs(subscription.deadline ?? "30s");
  if (deadlineMs < 1 || deadlineMs > deadlineMsMax) {
    throw new StartError(
      "SUBSCRIPTION_UNUSABLE",
      `${where}: deadline is ${deadlineMs} ms. Give 1 ms to 15 min; split longer work into events.`,
    );
  }
  return {
    name,
    types: new Map(subscription.types.map((type) => [type.name, type])),
    handle: subscription.handle,
    retries: planRetries(subscription.retries ?? retriesDefault, where),
    concurrency,
    deadlineMs,
    hasInbox: hasDatabase && inbox,
  };
}

const deadlineMsMax = 15 * 60_000;
