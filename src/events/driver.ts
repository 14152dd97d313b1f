import type { Database, Fragment } from "../database/index.ts";
import type { EventMessage } from "./event.ts";

/**
 * The broker port: what carries messages from the relays to the subscriptions.
 *
 * Every driver promises: a message whose `publish` resolved reaches each subscription that `ensure` named before, at
 * least once, under the same id and with the same text; a delivery ends only by acknowledgement, and comes again when
 * the consumer refused it, died, or lost its lease. Nobody may rely on exactly once: the inbox makes it so.
 *
 * Errors: `publish`, `ensure` and `stats` reject with a PlinthError `unavailable` when the engine cannot be reached;
 * trying again is safe.
 */
export interface Broker {
  readonly name: string;
  readonly flags: BrokerFlags;
  /** Connects, and makes what the broker itself needs. Called once, before anything else. */
  open(): Promise<void>;
  /**
   * Makes sure that messages published from now on are kept for these subscriptions, until they are consumed. Called
   * in every process that publishes, with every subscription of the app, before the first publish. It only ever adds, since
   * another version may run beside this one; `retire` takes away.
   */
  ensure(subscriptions: readonly SubscriptionSpec[]): Promise<void>;
  /** Resolves once the messages are as safe as the driver makes them, in the given order. At most 100 at a time. */
  publish(messages: readonly EventMessage[]): Promise<void>;
  /**
   * Present where the broker lives in a database. When that is this very database: a way to publish within one of its
   * statements, so that an event leaves its outbox and arrives here in one step or not at all.
   */
  joins?(database: Database): Promise<Joined | undefined>;
  /** Ensures the subscription and starts to deliver: each message to one of those who subscribed under the same name. */
  subscribe(subscriber: Subscriber, deliver: Deliver): Promise<Subscribed>;
  /** What waits, by subscription: those named by `ensure` or subscribed to here. */
  stats(): Promise<readonly SubscriptionStats[]>;
  /** How long messages are kept at most. Consumers remember the ids they handled for as long, or longer. */
  readonly retentionMs?: number;
  /**
   * Delivers to one subscription again what was published in a time, after what waits for it now, in the order of each
   * key. One bounded step: call it until it answers `done`. Called with the same request after it was broken off, it
   * goes on where it was. Present where `flags.replays`.
   */
  replay?(request: ReplayRequest): Promise<ReplayProgress>;
  /** What `replay` would do. */
  planReplay?(request: ReplayRequest): Promise<ReplayPlan>;
  /**
   * Forgets a subscription, or these types of it: it gets nothing new of them, and up to 1,000 deliveries are deleted,
   * undelivered. Answers how many; call it until that is 0. Whoever ensures them again has them again. Present where
   * deliveries can be deleted.
   */
  retire?(subscription: string, types?: readonly string[]): Promise<number>;
  /** Stops every subscription as `stop` does, then disconnects. Waits at most 10 s for what runs. */
  close(): Promise<void>;
}

export interface Joined {
  /**
   * Two parts of a `with` clause that take in what the query `rows` yields: `id`, `hash`, `type`, `source`, `key`,
   * `sequence`, `payload`, `at`, `traceparent`, `tracestate`, and `seq`, by which they are ordered. They are called
   * `stored` and `placed`; the latter yields the column `subscription`.
   */
  intake(rows: Fragment): Fragment;
  /** To be called once that is committed, with what was placed. */
  arrived(subscriptions: readonly string[]): void;
}

export interface BrokerFlags {
  /** What was published survives the end of the process. */
  readonly durable: boolean;
  /** Publisher and subscriber may be different processes. */
  readonly multipleProcesses: boolean;
  /** Messages of one source and key come in order, one at a time; those of other keys pass one that waits. */
  readonly ordered: boolean;
  /** Messages are kept for a while after everybody had them, and `replay` delivers them again. */
  readonly replays: boolean;
}

export interface SubscriptionSpec {
  /** The name of the consumer group: `"email.sendMail"`. */
  readonly subscription: string;
  readonly types: readonly string[];
}

export interface Subscriber extends SubscriptionSpec {
  /** Deliveries at a time, and never more taken in advance. 1 to 1,000. */
  readonly concurrency: number;
}

export interface ReplayRequest {
  readonly subscription: string;
  /**
   * ISO 8601, by the broker's time of publishing. Without `again` within what consumers are sure to remember, which is 7
   * days and as long as the broker keeps messages: otherwise REPLAY_FORGOTTEN.
   */
  readonly from: string;
  /** Up to but not including it. Default: now. */
  readonly to?: string;
  /** Default: every type of the subscription. */
  readonly types?: readonly string[];
  /** Runs the handler for those that were handled, too. */
  readonly again: boolean;
}

export interface ReplayPlan {
  readonly messageCount: number;
  /** Of these, those that wait anyway: they are not delivered twice. */
  readonly pendingCount: number;
  /** The earliest time from which messages are still kept, ISO 8601; undefined when there is none. */
  readonly keptSince: string | undefined;
}

export interface ReplayProgress {
  readonly id: string;
  /** By all steps so far. */
  readonly deliveredCount: number;
  /** It went on with one that was broken off. */
  readonly resumed: boolean;
  readonly done: boolean;
}

/** Handles one delivery. Resolving acknowledges it; rejecting brings it again: after a `Redeliver`'s delay, otherwise after 1 s. */
export type Deliver = (delivery: Delivery) => Promise<void>;

export interface Delivery {
  readonly message: EventMessage;
  /** 1 for the first. Counted before the delivery is handed over, so that a process that dies of it has been counted. */
  readonly attempt: number;
  /** The broker knows that nobody was handed it before: an attempt of another delivery included. */
  readonly isFirst?: boolean | undefined;
  /** When an earlier attempt failed for the first time, ISO 8601 by the broker's clock. */
  readonly firstFailedAt?: string | undefined;
  /** Of what was announced, where the broker knows it. It stays when an operator changes the payload: the message is still that one. */
  readonly payloadHash?: string | undefined;
  /** The replay that brings it. `again`: it is to run although it was handled, once for each replay. */
  readonly replay?: { readonly id: string; readonly again: boolean } | undefined;
  /** It was a dead letter, which an operator had replayed. */
  readonly fromDeadLetter?: boolean | undefined;
}

export interface Subscribed {
  /** Takes nothing new; resolves when the deliveries that run are over. */
  stop(): Promise<void>;
}

export interface SubscriptionStats {
  readonly subscription: string;
  /** Published and not yet acknowledged, those that run now included. */
  readonly pendingCount: number;
  /** Age of the oldest of them, since it was published. 0 when there is none. */
  readonly oldestAgeMs: number;
  /** Keys whose oldest message was refused and waits to come again; what came after it waits as well. */
  readonly parkedCount: number;
  /** What is kept for it, by name: also what versions of it listened to that are gone. */
  readonly types: readonly SubscribedType[];
}

export interface SubscribedType {
  readonly type: string;
  /** When a process last asked for it, which it does as it starts. ISO 8601, by the broker's clock. */
  readonly ensuredAt: string;
}
