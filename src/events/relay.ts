import type { Clock, Duration, Random } from "../base/index.ts";
import { createIds, error, systemClock, systemRandom, toMs } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import type { BucketLease } from "./bucket-lease.ts";
import { createBucketLease } from "./bucket-lease.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import { createCursor } from "./cursor.ts";
import type { Broker, Joined } from "./driver.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import type { Outbox, OutboxStats } from "./outbox.ts";
import { createOutbox } from "./outbox.ts";
import { createPoller } from "./poller.ts";
import { processId } from "./process-id.ts";
import { createSweeper } from "./sweeper.ts";

/**
 * Moves the outbox of one service to the broker. Any number of processes may run one for the same service: they share
 * the keys, by leases (see `bucket-lease.ts`).
 *
 * Promises: each committed event is published at least once, in the order of its key (see `outbox.ts`), as soon as
 * this process commits it, or within 250 ms when another one did. Where the broker lives in the same database, reading,
 * publishing and clearing the outbox are one statement. Elsewhere events are read, published and then marked, without a
 * transaction that would stay open meanwhile: a relay that dies in between leaves them unmarked, and whoever has the
 * bucket next publishes them again under the same ids. A relay that was stopped and lost its buckets marks nothing.
 * While the broker is away, events wait in the outbox and writers go on.
 *
 * Limits: 100 events at a time; 10 s for the broker to take them; a relay that died is replaced when its lease ends,
 * after 15 s at most; one that took leave, within half a second. Rows published to a broker elsewhere are kept for a day.
 */
export interface Relay {
  /** Only once the broker knows the subscriptions (`ensure`): what is published before that reaches none of them. */
  start(): void;
  /** Looks at once. */
  wake(): void;
  /** Reads nothing new; resolves when what was read is published and marked, and the buckets are free for others. */
  drain(): Promise<void>;
  stats(): Promise<RelayStats>;
}

export interface RelayStats extends OutboxStats {
  readonly service: string;
  /** By this process, since it began. */
  readonly publishedCount: number;
  readonly failedCount: number;
  /** Of 64: the part of the keys that this process works on. */
  readonly bucketCount: number;
}

export interface RelayOptions {
  readonly service: string;
  /** The service's own. */
  readonly database: Database;
  readonly broker: Broker;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
  /** How long rows are kept that were published to a broker elsewhere. Default one day. */
  readonly retention?: Duration;
  /** How long a relay that went silent keeps its buckets; renewed every third of it. Default 15 s. */
  readonly lease?: Duration;
  readonly crashPoint?: CrashPoint;
  /** @internal False marks what is no longer this relay's. For the test that shows what the check is for. */
  readonly epochCheck?: boolean;
  /** @internal True reads "what came after the last one", as many do. For the test that shows what it loses. */
  readonly idCursorRelay?: boolean;
}

const batchMax = 100;
const publishMsMax = 10_000;
const peekEveryMs = 200;
const sweepEveryMs = 60_000;

export function createRelay(options: RelayOptions): Relay {
  const { service, database, broker, clock = systemClock, random = systemRandom, log = silentLog } = options;
  const outbox = createOutbox(database.schema);
  const owner = `${processId}/${createIds(clock, random)()}`;
  const buckets = createBucketLease({ database, clock, owner, leaseMs: toMs(options.lease ?? "15s") });
  const counts = { publishedCount: 0, failedCount: 0 };
  const warn = (thrown: unknown): void => {
    counts.failedCount++;
    log.warn({ service, err: thrown }, "the relay could not publish; the events wait in the outbox");
  };
  const expected = { something: false };
  const look = options.idCursorRelay
    ? createCursor(database, broker, service)
    : createLook({ ...options, clock, log, outbox, buckets, expected });
  const poller = createPoller({
    clock,
    onError: warn,
    isMoreLikely: () => options.idCursorRelay === true || expected.something,
    async look() {
      const count = await look();
      counts.publishedCount += count;
      return count;
    },
  });
  const retentionMs = toMs(options.retention ?? "1d");
  const sweeper = createSweeper({
    clock,
    random,
    everyMs: sweepEveryMs,
    async sweep(pieceSize) {
      const published = await outbox.deletePublished(database, retentionMs, pieceSize);
      return Math.max(published, await outbox.deleteKeys(database, pieceSize));
    },
    onError: (thrown) => log.warn({ service, err: thrown }, "the outbox could not be cleaned; it is tried again"),
  });
  let stopTicking = () => {};
  let isStarted = false;
  const tick = (): void => {
    buckets.tick().catch((thrown) => log.warn({ service, err: thrown }, "the relay could not renew its lease"));
  };

  return {
    start() {
      isStarted = true;
      if (!options.idCursorRelay) stopTicking = clock.every(buckets.tickMs, tick);
      poller.start();
      sweeper.start();
    },
    wake() {
      expected.something = true;
      poller.wake();
    },
    async drain() {
      stopTicking();
      await Promise.all([poller.stop(), sweeper.stop()]);
      if (!isStarted) return;
      isStarted = false;
      // Without this the others take over when the lease ends.
      await buckets
        .release()
        .catch((thrown) => log.warn({ service, err: thrown }, "the relay keeps its lease until it ends"));
    },
    async stats() {
      return { service, ...counts, bucketCount: buckets.bucketCount, ...(await outbox.stats(database)) };
    },
  };
}

interface LookParts extends RelayOptions {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly outbox: Outbox;
  readonly buckets: BucketLease;
  /** Set when there is something to publish, by whoever knows. */
  readonly expected: { something: boolean };
}

/** One look for work; answers how many events were published. */
function createLook(parts: LookParts): () => Promise<number> {
  const { service, database, broker, clock, log, outbox, buckets, expected, crashPoint = noCrashPoint } = parts;
  const { owner } = buckets;
  let joined: Joined | undefined;
  let hasAsked = false;
  let peekedAt = Number.NEGATIVE_INFINITY;

  const publishElsewhere = async (): Promise<number> => {
    const read = await outbox.read(database, service, owner, batchMax);
    if (read.length === 0 || !buckets.isHeld()) return 0;
    await inTime(clock, broker.publish(read.map(({ message }) => message)));
    crashPoint("relay.published");
    const marked = await outbox.markPublished(database, owner, read, parts.epochCheck ?? true);
    if (marked < read.length) {
      log.warn({ service, count: read.length - marked }, "the relay had lost its lease; another one publishes these");
    }
    return marked;
  };

  const moveInto = async (broker: Joined): Promise<number> => {
    const { count, subscriptions } = await outbox.move(database, service, owner, batchMax, broker);
    if (count > 0) {
      crashPoint("relay.published");
      broker.arrived(subscriptions);
    }
    return count;
  };

  return async () => {
    if (!buckets.isHeld()) await buckets.tick();
    if (!buckets.isHeld()) return 0;
    if (!expected.something || clock.now() - peekedAt >= peekEveryMs) {
      // One cheap look first: most find nothing. And buckets that are free are to be seen by who always has work, too.
      peekedAt = clock.now();
      const { waiting, vacant } = await outbox.peek(database, owner);
      buckets.noteVacancy(vacant);
      if (!waiting && !expected.something) return 0;
    }
    if (!hasAsked) joined = await broker.joins?.(database);
    hasAsked = true;
    expected.something = false;
    const count = joined ? await moveInto(joined) : await buckets.during(publishElsewhere);
    if (count === batchMax) expected.something = true;
    return count;
  };
}

/** A broker that hangs must not keep the relay for ever. */
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
