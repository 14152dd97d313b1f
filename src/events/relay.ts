import type { Clock, Duration, Random } from "../base/index.ts";
import { error, systemClock, systemRandom, toMs } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import type { Broker, PublishIn } from "./driver.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import type { OutboxStats } from "./outbox.ts";
import { createOutbox } from "./outbox.ts";
import { createPoller } from "./poller.ts";
import { createSweeper } from "./sweeper.ts";

/**
 * Moves the outbox of one service to the broker. Any number of processes may run one for the same service.
 *
 * Promises: each committed event is published at least once, in the order of its key (see `outbox.ts`), as soon as
 * this process commits it, or within 250 ms when another one did. Claim, publish and mark are one transaction: a relay
 * that dies leaves its claim behind unmarked, and the next one publishes it again under the same id. Where the broker
 * lives in the same database, its messages are part of that transaction too. While the broker is away, events wait in
 * the outbox and writers go on.
 *
 * Limits: 100 events to a claim; 10 s for the broker to take them; published rows are kept for a day. On the embedded
 * engine a broker outside the database holds up every other use of it for as long as it takes the events.
 */
export interface Relay {
  /** Only once the broker knows the subscriptions (`ensure`): what is published before that reaches none of them. */
  start(): void;
  /** Looks at once. */
  wake(): void;
  /** Claims nothing new; resolves when what was claimed is published and marked. */
  drain(): Promise<void>;
  stats(): Promise<RelayStats>;
}

export interface RelayStats extends OutboxStats {
  readonly service: string;
  /** By this process, since it began. */
  readonly publishedCount: number;
  readonly failedCount: number;
}

export interface RelayOptions {
  readonly service: string;
  /** The service's own. */
  readonly database: Database;
  readonly broker: Broker;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
  /** How long published rows are kept. Default one day. */
  readonly retention?: Duration;
  readonly crashPoint?: CrashPoint;
}

const batchMax = 100;
const publishMsMax = 10_000;
const sweepEveryMs = 60_000;

export function createRelay(options: RelayOptions): Relay {
  const {
    service,
    database,
    broker,
    clock = systemClock,
    random = systemRandom,
    log = silentLog,
    crashPoint = noCrashPoint,
  } = options;
  const outbox = createOutbox(database.schema);
  const retentionMs = toMs(options.retention ?? "1d");
  let publishIn: PublishIn | undefined;
  let asked = false;
  let publishedCount = 0;
  let failedCount = 0;

  const relayBatch = async (): Promise<boolean> => {
    // One cheap look before a transaction is begun: most looks find nothing.
    if (!(await outbox.hasUnpublished(database))) return false;
    // On the embedded engine this is more than thrift: its one session is taken by the claim.
    if (!asked) publishIn = await broker.joins?.(database);
    asked = true;
    const count = await database.transaction(async (tx) => {
      const claimed = await outbox.claim(tx, service, batchMax);
      if (claimed.length === 0) return 0;
      const messages = claimed.map(({ message }) => message);
      await (publishIn ? publishIn(tx, messages) : inTime(clock, broker.publish(messages)));
      crashPoint("relay.published");
      await outbox.markPublished(tx, claimed);
      return claimed.length;
    });
    publishedCount += count;
    return count > 0;
  };
  const poller = createPoller({
    clock,
    look: relayBatch,
    onError(thrown) {
      failedCount++;
      log.warn({ service, err: thrown }, "the relay could not publish; the events wait in the outbox");
    },
  });
  const sweeper = createSweeper({
    clock,
    random,
    everyMs: sweepEveryMs,
    sweep: (pieceSize) => outbox.deletePublished(database, retentionMs, pieceSize),
    onError: (thrown) => log.warn({ service, err: thrown }, "the outbox could not be cleaned; it is tried again"),
  });

  return {
    start() {
      poller.start();
      sweeper.start();
    },
    wake: poller.wake,
    async drain() {
      await Promise.all([poller.stop(), sweeper.stop()]);
    },
    async stats() {
      return { service, publishedCount, failedCount, ...(await outbox.stats(database)) };
    },
  };
}

/** The claim holds a transaction open: a broker that hangs must not. */
async function inTime(clock: Clock, publishing: Promise<void>): Promise<void> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(publishMsMax, () =>
      reject(error("deadline_exceeded", "The broker did not take the events in time.", { reason: "BROKER_SLOW" })),
    );
  });
  try {
    await Promise.race([publishing, late]);
  } finally {
    cancel();
  }
}
