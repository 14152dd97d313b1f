import type { Broker, Consumer, DeadLetters, Relay } from "../events/index.ts";
import type { Metrics } from "../telemetry/index.ts";

/** What is measured of events. It has to be asked of the database: by one scrape at a time, and while that is open. */
export interface MeasuredEvents {
  readonly broker: Broker;
  readonly relays: readonly Relay[];
  readonly consumers: readonly Consumer[];
  /** By service. */
  readonly letters: ReadonlyMap<string, DeadLetters>;
}

/** From now on; the returned function takes it back, before the database goes away. */
export function measureEvents(metrics: Metrics, events: MeasuredEvents): () => void {
  const tasks = [measureOutboxes(metrics, events), measureSubscriptions(metrics, events)];
  const stops = tasks.map((task) => metrics.collect(oneAtATime(task)));
  return () => {
    for (const stop of stops) stop();
  };
}

function measureOutboxes(metrics: Metrics, { relays }: MeasuredEvents): () => Promise<void> {
  const waiting = metrics.gauge("plinth_outbox_unpublished", "Events that wait for the broker.", ["service"]);
  const age = metrics.gauge("plinth_outbox_oldest_age_seconds", "Age of the oldest of them.", ["service"]);
  const published = metrics.counter("plinth_outbox_published_total", "Events handed to the broker.", ["service"]);
  const buckets = metrics.gauge("plinth_relay_buckets", "Key buckets that this process relays, of 64.", ["service"]);
  const failed = metrics.counter("plinth_outbox_failures_total", "Attempts that the broker did not take.", ["service"]);
  return async () => {
    for (const { service, ...stats } of await Promise.all(relays.map((relay) => relay.stats()))) {
      waiting.with({ service }).set(stats.unpublishedCount);
      age.with({ service }).set(stats.oldestAgeMs / 1000);
      published.with({ service }).advanceTo(stats.publishedCount);
      failed.with({ service }).advanceTo(stats.failedCount);
      buckets.with({ service }).set(stats.bucketCount);
    }
  };
}

function measureSubscriptions(metrics: Metrics, { broker, consumers, letters }: MeasuredEvents): () => Promise<void> {
  const labels = ["subscription"] as const;
  const pending = metrics.gauge("plinth_subscription_pending", "Events published and not yet acknowledged.", labels);
  const age = metrics.gauge("plinth_subscription_oldest_age_seconds", "Age of the oldest of them.", labels);
  const parked = metrics.gauge(
    "plinth_subscription_parked_keys",
    "Keys that wait for an event's next attempt.",
    labels,
  );
  const events = metrics.counter("plinth_subscription_events_total", "Events by what became of them here.", [
    "subscription",
    "outcome",
  ]);
  const dead = metrics.gauge("plinth_dead_letters", "Events that a service gave up on, until somebody decides.", [
    "service",
  ]);
  return async () => {
    for (const { subscription, ...counts } of consumers.flatMap((consumer) => consumer.stats())) {
      events.with({ subscription, outcome: "handled" }).advanceTo(counts.handledCount);
      events.with({ subscription, outcome: "duplicate" }).advanceTo(counts.duplicateCount);
      events.with({ subscription, outcome: "retried" }).advanceTo(counts.retriedCount);
      events.with({ subscription, outcome: "dead" }).advanceTo(counts.deadCount);
    }
    for (const { subscription, pendingCount, oldestAgeMs, parkedCount } of await broker.stats()) {
      pending.with({ subscription }).set(pendingCount);
      age.with({ subscription }).set(oldestAgeMs / 1000);
      parked.with({ subscription }).set(parkedCount);
    }
    for (const [service, store] of letters) dead.with({ service }).set(await store.count());
  };
}

/** A database that is slow is not asked again before it has answered. */
function oneAtATime(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= task().finally(() => {
      running = undefined;
    });
    return running;
  };
}
