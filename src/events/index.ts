/**
 * Events: facts that one service announces and others act on. Nothing that was committed is lost, and each event takes
 * effect once.
 *
 *     publisher ─ outbox ─┐ relay ┌─ broker ─┐ consumer ┌─ inbox + effect
 *       (one transaction) └───────┘          └──────────┘ (one transaction)
 *
 * A publisher writes the event into the outbox of its service, in the transaction of the change. A relay moves it to
 * the broker, at least once and in the order of its key. The broker delivers it to each subscription until that
 * acknowledges. The consumer writes the event's id into the inbox of its service, in the transaction of the effect: a
 * repeat finds the id and is let go. What keeps failing becomes a dead letter, which somebody replays or discards.
 *
 * `publisher.ts`, `relay.ts`, `driver.ts` and `consumer.ts` say what each promises; `database-broker.ts` is the broker
 * that needs no other product.
 */
export type { AuditAction, AuditBy, AuditEntry, AuditFilter, AuditLog, NewAuditEntry } from "./audit.ts";
export { createAuditLog } from "./audit.ts";
export type { Consumer, ConsumerOptions, ConsumerStats } from "./consumer.ts";
export { createConsumer } from "./consumer.ts";
export type { CrashPoint, CrashPointName } from "./crash-points.ts";
export { crashPointsFromEnvironment } from "./crash-points.ts";
export type { DatabaseBrokerOptions } from "./database-broker.ts";
export { createDatabaseBroker } from "./database-broker.ts";
export type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterSummary,
  DeadLetters,
  DeadLettersOptions,
  EditOptions,
} from "./dead-letters.ts";
export { deadLetters } from "./dead-letters.ts";
export type {
  Broker,
  BrokerFlags,
  Deliver,
  Delivery,
  Joined,
  ReplayPlan,
  ReplayProgress,
  ReplayRequest,
  Subscribed,
  SubscribedType,
  Subscriber,
  SubscriptionSpec,
  SubscriptionStats,
} from "./driver.ts";
export type { EventMessage, EventType, PayloadSchema } from "./event.ts";
export type { EventLog } from "./event-log.ts";
export type { Answer, Claimed, IdempotencyOptions, IdempotencyStore, Recorded } from "./idempotency.ts";
export { createIdempotencyStore, keepMsDefault } from "./idempotency.ts";
export type { Once, OnceOptions, Outcome } from "./idempotency-run.ts";
export { isFinal, runOnce } from "./idempotency-run.ts";
export type { IdempotencySweeperOptions } from "./idempotency-sweeper.ts";
export { createIdempotencySweeper } from "./idempotency-sweeper.ts";
export type { IdempotencyEntry } from "./idempotency-table.ts";
export type { Lease, LeaseOptions, LeaseStats } from "./lease.ts";
export { createLease } from "./lease.ts";
export type { MemoryBrokerOptions } from "./memory.ts";
export { createMemoryBroker } from "./memory.ts";
export { eventMigrationSet, eventMigrations, migrateEvents } from "./migrations.ts";
export type { Publisher, PublisherOptions, PublishOptions } from "./publisher.ts";
export { createPublisher } from "./publisher.ts";
export { Redeliver } from "./redeliver.ts";
export type { Relay, RelayOptions, RelayStats } from "./relay.ts";
export { createRelay } from "./relay.ts";
export type { CatchUp, Schedule, Tick } from "./schedule.ts";
export { planSchedules } from "./schedule.ts";
export type { Scheduler, SchedulerOptions, SchedulerStats, ScheduleStats, TickReport } from "./scheduler.ts";
export { createScheduler } from "./scheduler.ts";
export type { HandlerDelivery, Subscription } from "./subscription.ts";
