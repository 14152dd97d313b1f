import type { Database, Transaction } from "../database/index.ts";
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
   * in every process that publishes, with every subscription of the app, before the first publish. It only ever adds.
   */
  ensure(subscriptions: readonly SubscriptionSpec[]): Promise<void>;
  /** Resolves once the messages are as safe as the driver makes them, in the given order. At most 100 at a time. */
  publish(messages: readonly EventMessage[]): Promise<void>;
  /**
   * Present where the broker lives in a database. When that is this very database: a way to publish as part of its
   * transactions, so that the messages are there when one commits, and never were when it does not.
   */
  joins?(database: Database): Promise<PublishIn | undefined>;
  /** Ensures the subscription and starts to deliver: each message to one of those who subscribed under the same name. */
  subscribe(subscriber: Subscriber, deliver: Deliver): Promise<Subscribed>;
  /** What waits, by subscription: those named by `ensure` or subscribed to here. */
  stats(): Promise<readonly SubscriptionStats[]>;
  /** Stops every subscription as `stop` does, then disconnects. Waits at most 10 s for what runs. */
  close(): Promise<void>;
}

export type PublishIn = (tx: Transaction, messages: readonly EventMessage[]) => Promise<void>;

export interface BrokerFlags {
  /** What was published survives the end of the process. */
  readonly durable: boolean;
  /** Publisher and subscriber may be different processes. */
  readonly multipleProcesses: boolean;
  /** Messages of one source and key come in order, one at a time; those of other keys pass one that waits. */
  readonly ordered: boolean;
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

/** Handles one delivery. Resolving acknowledges it; rejecting brings it again: after a `Redeliver`'s delay, otherwise after 1 s. */
export type Deliver = (delivery: Delivery) => Promise<void>;

export interface Delivery {
  readonly message: EventMessage;
  /** 1 for the first. Counted before the delivery is handed over, so that a process that dies of it has been counted. */
  readonly attempt: number;
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
}
