import type { Clock, Duration, Random } from "../base/index.ts";
import { createDeadlines, createIds, StartError, systemClock, systemRandom, toMs } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createAuditLog } from "./audit.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import { createDeadLetterStore } from "./dead-letter-store.ts";
import type { Broker, Subscribed } from "./driver.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import { createGathering } from "./gathering.ts";
import type { Handling, HandlingCounts, HandlingParts } from "./handling.ts";
import { createHandling } from "./handling.ts";
import type { InboxEntry } from "./inbox.ts";
import { createInbox } from "./inbox.ts";
import { createReplayer } from "./replay.ts";
import { rememberedMsMin } from "./replay-request.ts";
import { createRunningCalls } from "./running-calls.ts";
import type { Subscription, SubscriptionPlan } from "./subscription.ts";
import { planSubscription } from "./subscription.ts";
import { createSweeper } from "./sweeper.ts";

/**
 * The subscriptions of one service, at work in this process. Any number of processes may run the same.
 *
 * Promises, for a service with a database: each event takes effect once, however often it is delivered, because the
 * inbox row and the effect are one transaction. An event that fails comes again after 1 s, 5 s, 30 s, 2 min and 10 min,
 * while later events of its key wait and those of other keys pass; then it is a dead letter in the service's own
 * schema, and its key goes on. A message that kills the process counts as failed: attempts are counted before they run.
 *
 * The transaction begins with the handler's first statement in it, so that a handler may call other services before:
 * an open transaction would hold a session from them. When the lease of a delivery was lost, two processes may run the
 * handler for one event at a time: the second waits at the first one's inbox row, and its effect is left out.
 *
 * Not promised: exactly one effect outside the database. Mail, cards and calls to others can happen again when the
 * process dies after them: give them the event's id as their idempotency key. A service without a database has no
 * inbox; its handlers must be declared `idempotent`.
 *
 * Limits: 8 events at a time for each subscription, 30 s for one attempt, ids remembered for 7 days: a repeat that
 * comes later takes effect again.
 */
export interface Consumer {
  /** Makes the subscriptions known, then takes deliveries. */
  start(): Promise<void>;
  /**
   * Takes nothing new; resolves when what runs is over, which the deadlines bound. When the signal aborts, handlers that
   * still run are cancelled, and their events come again elsewhere at once, without an attempt counted. May be called again.
   */
  drain(signal?: AbortSignal): Promise<void>;
  stats(): readonly ConsumerStats[];
}

/** By this process, since it began. */
export interface ConsumerStats extends Readonly<HandlingCounts> {
  readonly subscription: string;
}

export interface ConsumerOptions {
  readonly service: string;
  readonly broker: Broker;
  /** The service's own, with `eventMigrations` applied. */
  readonly database?: Database;
  /** Where dead letters go when the service has no database: one with `plinth_dead_letters`, such as the broker's. */
  readonly deadLetterDatabase?: Database;
  readonly subscriptions: readonly Subscription[];
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
  /** How long handled ids are remembered: 7 days at least, and as long as the broker keeps messages. Default 7 days. */
  readonly inboxRetention?: Duration;
  readonly crashPoint?: CrashPoint;
  /** @internal True ends a delivery as it begins. For the test that shows what is lost by it. */
  readonly acknowledgeBeforeCommit?: boolean;
}

const sweepEveryMs = 600_000;
const looksMax = 100;
/** Kept for longer than is promised: a replay that began within the window takes its time. */
const windowMarginMs = 86_400_000;

export function createConsumer(options: ConsumerOptions): Consumer {
  const { service, broker, database, clock = systemClock, random = systemRandom, log = silentLog } = options;
  const plans = options.subscriptions.map((subscription) =>
    planSubscription(subscription, service, database !== undefined),
  );
  refuseTwins(plans, service);
  const storeDatabase = database ?? options.deadLetterDatabase;
  if (!storeDatabase) {
    throw new StartError(
      "DEAD_LETTERS_HOMELESS",
      `service "${service}": an event that keeps failing has no place to go. Give the service a database, or give its consumer a deadLetterDatabase.`,
    );
  }
  const inbox = database && createInbox(database.schema);
  const store = createDeadLetterStore(storeDatabase);
  const calls = createRunningCalls();
  const parts: HandlingParts = {
    service,
    database,
    inbox,
    looking:
      database &&
      inbox &&
      createGathering((entries: readonly InboxEntry[]) => inbox.lookAll(database, entries), looksMax, clock),
    store,
    storeDatabase,
    newId: createIds(clock, random),
    clock,
    deadlines: createDeadlines(clock),
    random,
    log,
    crashPoint: options.crashPoint ?? noCrashPoint,
    calls,
  };
  const workers = plans.map((plan) => createWorker(plan, parts));
  const handlings = new Map(workers.map((worker) => [worker.plan.name, worker]));
  const replayer = createReplayer({ store, handlings, clock, log });
  const retentionMs = windowOf(options);
  const audit = createAuditLog(storeDatabase);
  const sweeper = createSweeper({
    clock,
    random,
    everyMs: sweepEveryMs,
    async sweep(pieceSize) {
      const forgotten =
        database && inbox ? await inbox.deleteOld(database, retentionMs + windowMarginMs, pieceSize) : 0;
      return Math.max(forgotten, await audit.deleteOld(pieceSize));
    },
    onError: (thrown) => log.warn({ service, err: thrown }, "the inbox could not be cleaned; it is tried again"),
  });
  const subscribed: Subscribed[] = [];

  return {
    async start() {
      const specs = plans.map(({ name, types, concurrency }) => ({
        subscription: name,
        types: [...types.keys()],
        concurrency,
      }));
      await broker.ensure(specs);
      for (const [i, spec] of specs.entries()) {
        subscribed.push(
          await broker.subscribe(spec, async (delivery) => {
            const handled = workers[i]?.handle(delivery);
            if (options.acknowledgeBeforeCommit) handled?.catch(() => {});
            else await handled;
          }),
        );
      }
      if (plans.length > 0) replayer.start();
      sweeper.start();
    },
    drain: (signal) =>
      calls.finish(Promise.all([...subscribed.map((each) => each.stop()), replayer.stop(), sweeper.stop()]), signal),
    stats: () => workers.map(({ plan, counts }) => ({ subscription: plan.name, ...counts })),
  };
}

/** What is forgotten can take effect again: a repeat must not be able to come later than that. */
function windowOf({ service, inboxRetention, broker }: ConsumerOptions): number {
  const windowMs =
    inboxRetention === undefined ? Math.max(rememberedMsMin, broker.retentionMs ?? 0) : toMs(inboxRetention);
  const leastMs = Math.max(rememberedMsMin, broker.retentionMs ?? 0);
  if (windowMs >= leastMs) return windowMs;
  throw new StartError(
    "INBOX_WINDOW_SHORT",
    `service "${service}": inboxRetention is ${windowMs} ms, and an event may come again after ${leastMs} ms: the broker keeps messages that long, and 7 days is the least. Give at least ${Math.ceil(leastMs / 86_400_000)}d.`,
  );
}

function refuseTwins(plans: readonly SubscriptionPlan[], service: string): void {
  const names = plans.map(({ name }) => name);
  const twin = names.find((name, i) => names.indexOf(name) !== i);
  if (twin === undefined) return;
  throw new StartError(
    "SUBSCRIPTION_TWICE",
    `service "${service}": two subscriptions are called "${twin}". Give each a name of its own: it marks how far one has come.`,
  );
}

interface Worker {
  readonly plan: SubscriptionPlan;
  readonly handle: Handling;
  readonly counts: HandlingCounts;
}

function createWorker(plan: SubscriptionPlan, parts: HandlingParts): Worker {
  const counts: HandlingCounts = { handledCount: 0, duplicateCount: 0, retriedCount: 0, deadCount: 0 };
  return { plan, counts, handle: createHandling(plan, parts, counts) };
}
