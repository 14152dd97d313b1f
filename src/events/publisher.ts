import type { Clock, Random, Trace } from "../base/index.ts";
import { createIds, error, systemClock, systemRandom } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { EventMessage, EventType } from "./event.ts";
import { keyLengthMax, payloadBytesMax } from "./event.ts";
import { createOutbox } from "./outbox.ts";

/**
 * Announces the events of one service. The event is a row in the service's own schema, written in the transaction of
 * the change it tells of: both are there, or neither. It reaches nobody before the commit.
 *
 * A payload that breaks its schema, a key that is too long, a missing transaction: thrown at once, before anything is
 * written, so that the transaction ends even where nobody awaits the answer. Await it all the same: the row has to be
 * written before the transaction ends.
 *
 * Order within a key is the order in which publishers wrote. Publish after the write that locks the row of the
 * aggregate, and publishers of one key wait for each other.
 */
export interface Publisher {
  /** Answers with the id of the event. Events of other services are refused with EVENT_NOT_OURS. */
  publish<Payload>(type: EventType<Payload>, payload: Payload, options: PublishOptions): Promise<string>;
}

export interface PublishOptions {
  /** The transaction of the change that the event tells of. */
  readonly in: Transaction;
  /** The place in the trace that the consumer's work becomes a part of. */
  readonly trace?: Trace | undefined;
}

export interface PublisherOptions {
  readonly service: string;
  /** The service's own. */
  readonly database: Database;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Called after each commit that has events in it: the relay's `wake`, when it runs in this process. */
  readonly wake?: () => void;
  /** Largest payload as JSON text. Above it: EVENT_TOO_LARGE. Default 256 KiB. */
  readonly payloadBytesMax?: number;
  readonly crashPoint?: CrashPoint;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const {
    service,
    database,
    clock = systemClock,
    random = systemRandom,
    wake = () => {},
    crashPoint = noCrashPoint,
  } = options;
  const bytesMax = options.payloadBytesMax ?? payloadBytesMax;
  const outbox = createOutbox(database.schema);
  const newId = createIds(clock, random);
  const awaited = new WeakSet<Transaction>();

  const afterCommitOnce = (tx: Transaction): void => {
    if (awaited.has(tx)) return;
    awaited.add(tx);
    tx.afterCommit(() => {
      crashPoint("outbox.committed");
      wake();
    });
  };

  return {
    publish(type, payload, { in: tx, trace } = {} as PublishOptions) {
      if (type.service !== service) throw notOurs(type, service);
      if (typeof tx?.afterCommit !== "function") throw withoutTransaction(type);
      const message: EventMessage = {
        id: newId(),
        type: type.name,
        ...write(type, payload, bytesMax),
        source: service,
        at: new Date(clock.wallNow()).toISOString(),
        ...(trace && { traceparent: trace.traceparent() }),
        ...(trace?.tracestate !== undefined && { tracestate: trace.tracestate }),
      };
      afterCommitOnce(tx);
      return outbox.insert(tx, message).then(() => message.id);
    },
  };
}

/** The payload as text, checked; and its key. */
function write(type: EventType, payload: unknown, bytesMax: number): Pick<EventMessage, "key" | "payload"> {
  const checked = type.payload.parse(payload);
  const given = type.payload.native ? checked : payload;
  const text = type.payload.native ? type.payload.stringify(checked) : JSON.stringify(payload);
  if (Buffer.byteLength(text) > bytesMax) {
    throw error("invalid_argument", `An event may have ${bytesMax} bytes.`, {
      reason: "EVENT_TOO_LARGE",
      detail: `${type.name}: keep large things in a store, and put their name into the event`,
      executed: "no",
    });
  }
  const key = type.keyOf(given);
  if (typeof key !== "string" || key.length > keyLengthMax || key.includes("\0")) {
    throw error("invalid_argument", `The key of an event is text of at most ${keyLengthMax} characters.`, {
      reason: "EVENT_KEY_UNUSABLE",
      detail: `${type.name}: keyOf gave ${typeof key === "string" ? `${key.length} characters` : typeof key}`,
      executed: "no",
    });
  }
  return { key, payload: text };
}

function notOurs(type: EventType, service: string): Error {
  return error("internal", "An event of another service was published.", {
    reason: "EVENT_NOT_OURS",
    detail: `${type.name} belongs to ${type.service}; ${service} publishes its own events only: declare one in its contract`,
    executed: "no",
  });
}

function withoutTransaction(type: EventType): Error {
  return error("internal", "An event was published without the transaction of the change it tells of.", {
    reason: "OUTBOX_WITHOUT_TRANSACTION",
    detail: `${type.name}: publish(type, payload, { in: tx }) inside database.transaction(async (tx) => …)`,
    executed: "no",
  });
}
