import type { Clock, Duration, Random } from "../base/index.ts";
import { createIds, systemClock, systemRandom, toMs } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createAuditLog } from "./audit.ts";
import { createBrokerReplay } from "./broker-replay.ts";
import type { BrokerTables, Ending } from "./broker-tables.ts";
import { createBrokerTables } from "./broker-tables.ts";
import type { CrashPoint } from "./crash-points.ts";
import { noCrashPoint } from "./crash-points.ts";
import { distanceMs } from "./crowd.ts";
import type { ClaimedDelivery } from "./delivery-claim.ts";
import type { Broker, Deliver, Subscribed, Subscriber } from "./driver.ts";
import { createEnsuring } from "./ensuring.ts";
import type { EventLog } from "./event-log.ts";
import { silentLog } from "./event-log.ts";
import type { Gathering } from "./gathering.ts";
import { createGathering } from "./gathering.ts";
import { migrateBroker } from "./migrations.ts";
import type { Poller } from "./poller.ts";
import { createPoller } from "./poller.ts";
import { processId } from "./process-id.ts";
import { refusalOf } from "./redeliver.ts";
import { checkSubscriber, withinGrace } from "./subscriber.ts";
import { createSweeper } from "./sweeper.ts";

export interface DatabaseBrokerOptions {
  /** The app's database, in the broker's own schema `plinth_broker`. */
  readonly database: Database;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: EventLog;
  /** How long a consumer that went silent keeps its deliveries. Renewed every third of it. Default 15 s. */
  readonly lease?: Duration;
  /** How long messages are kept that every subscription is done with, to be replayed. Default 7 days. */
  readonly retention?: Duration;
  /** False: `open` finds its tables made, by whoever may change the database. Default true. */
  readonly migrates?: boolean;
  readonly crashPoint?: CrashPoint;
  /** @internal False lets whoever lost a delivery end it. For the test that shows what the epoch is for. */
  readonly epochCheck?: boolean;
}

/**
 * The default broker: tables in a schema of their own. As durable as the database; across processes where the
 * database is, in one process where it is embedded. In order, by key.
 *
 * A look for work is one statement for all subscriptions of this process, from every 5 ms to every 250 ms; what this
 * process publishes, it looks for at once. A delivery whose holder died comes back when its lease ends; where no other
 * process can have the database open, at once. Such a delivery is a suspect, and a process has one suspect in hand at a
 * time: a message that kills its process costs each neighbour one attempt at most.
 *
 * It does not open or close the database: whoever made that does, and closes it after the broker.
 *
 * Limits: what a parked key holds back is looked over at each claim, so a key that is stuck in front of many thousands
 * makes claims slower. Nothing is ever dropped: a subscription that nobody consumes grows, and `stats` shows it.
 */
export function createDatabaseBroker(options: DatabaseBrokerOptions): Broker {
  const { database, clock = systemClock, random = systemRandom, log = silentLog, crashPoint = noCrashPoint } = options;
  const leaseMs = toMs(options.lease ?? "15s");
  const retentionMs = toMs(options.retention ?? "7d");
  const tables = createBrokerTables(database, { epochCheck: options.epochCheck ?? true });
  const known = createEnsuring(tables.ensure, clock);
  const replay = createBrokerReplay(database, { retentionMs });
  const audit = createAuditLog(database);
  const acknowledging = createGathering(
    (claimed: readonly ClaimedDelivery[]) => tables.acknowledge(claimed),
    batchMax,
    clock,
  );
  const members = new Set<Member>();
  const owner = `${processId}/${createIds(clock, random)()}`;
  const inHand = (): ClaimedDelivery[] => [...members].flatMap((member) => member.inHand());
  let askedAt = Number.NEGATIVE_INFINITY;
  const suspectInHand = (): boolean => [...members].some((member) => member.hasSuspect());
  const shared = { clock, tables, acknowledging, log, crashPoint, wake: () => poller.wake() };
  /** One statement for all of them. Answers how many deliveries have begun. */
  const claim = async (asking: readonly Member[], suspects: boolean): Promise<number> => {
    // Of several for one subscription, one asks: the one whose turn it is.
    const inTurn = [...asking].sort((one, other) => other.claimedAt() - one.claimedAt());
    const askers = [...new Map(inTurn.map((member) => [member.subscription, member])).values()];
    const wanted = askers.map((member) => ({
      subscription: member.subscription,
      limit: suspects ? 1 : member.freeCount(),
    }));
    const claiming = tables.claim({ wanted, suspects, owner, leaseMs, inHand: inHand() });
    const counts = await Promise.all(askers.map((member, i) => member.take(claiming, wanted[i]?.limit ?? 0, suspects)));
    return counts.reduce((sum, count) => sum + count, 0);
  };

  const poller: Poller = createPoller({
    clock,
    isMoreLikely: () => [...members].some((member) => member.mayHaveMore()),
    onError: (thrown) => log.warn({ err: thrown }, "the broker's tables do not answer; it is tried again"),
    async look() {
      const free = [...members].filter((member) => member.mayClaim());
      if (free.length === 0) return 0;
      // Where there is more, a claim asks for itself. Suspects are asked for in between, and all others where it was wrong.
      const sure = free.filter((member) => member.mayHaveMore());
      if (sure.length > 0 && clock.now() - askedAt < askEveryMs) {
        const count = await claim(sure, false);
        if (count > 0) return count;
      }
      askedAt = clock.now();
      const ready = await tables.findReady([...new Set(free.map(({ subscription }) => subscription))]);
      let found = 0;
      for (const { subscription, hasSuspect } of ready) {
        // One suspect at a time, so that a message that kills the process takes no other suspect's attempts with it.
        if (!hasSuspect || suspectInHand()) continue;
        const member = free.find((each) => each.subscription === subscription && each.mayClaim());
        if (member) found += await claim([member], true);
      }
      const names = new Set(ready.filter(({ hasNormal }) => hasNormal).map(({ subscription }) => subscription));
      const normal = free.filter((member) => names.has(member.subscription) && member.mayClaim());
      return normal.length > 0 ? found + (await claim(normal, false)) : found;
    },
  });
  let stopRenewing = () => {};
  const renew = (): void => {
    const held = inHand();
    if (held.length === 0) return;
    tables
      .renew(held, leaseMs)
      .catch((thrown) => log.warn({ err: thrown }, "leases could not be renewed; it is tried again"));
  };
  const sweeper = createSweeper({
    clock,
    random,
    everyMs: sweepEveryMs,
    async sweep(pieceSize) {
      const messages = await tables.deleteOld(retentionMs, pieceSize);
      return Math.max(messages, await audit.deleteOld(pieceSize), await replay.deleteDone(pieceSize));
    },
    onError: (thrown) => log.warn({ err: thrown }, "old messages could not be deleted; it is tried again"),
  });

  return {
    name: "database",
    flags: {
      durable: database.flags.durability !== "none",
      multipleProcesses: database.flags.multipleProcesses,
      ordered: true,
      replays: true,
    },
    retentionMs,
    async open() {
      if (options.migrates ?? true) await migrateBroker(database);
      if (!database.flags.multipleProcesses) await tables.expireOthers(processId);
      poller.start();
      sweeper.start();
      stopRenewing = clock.every(leaseMs / 3, renew);
    },
    ensure: known.ensure,
    async publish(messages) {
      await tables.publish(messages);
      poller.wake();
    },
    async joins(other) {
      if (!(await tables.areIn(other))) return undefined;
      return {
        intake: tables.intake,
        arrived(subscriptions) {
          for (const member of members) if (subscriptions.includes(member.subscription)) member.expect();
        },
      };
    },
    async subscribe(subscriber, deliver) {
      checkSubscriber(subscriber);
      await known.ensure([subscriber]);
      const member = createMember(subscriber, deliver, shared);
      members.add(member);
      poller.wake();
      return {
        async stop() {
          await member.stop();
          members.delete(member);
        },
      };
    },
    stats: () => tables.stats(),
    async replay(request) {
      const progress = await replay.step(request);
      poller.wake();
      return progress;
    },
    planReplay: (request) => replay.plan(request),
    retire(subscription, types) {
      known.forget(subscription);
      return replay.retire(subscription, types);
    },
    async close() {
      await withinGrace(clock, Promise.all([...members].map((member) => member.stop())));
      members.clear();
      stopRenewing();
      await Promise.all([poller.stop(), sweeper.stop()]);
    },
  };
}

const sweepEveryMs = 60_000;
const batchMax = 100;
const askEveryMs = 100;
/** What comes again within that is not left to be found. */
const soonMs = 250;

interface Shared {
  readonly clock: Clock;
  readonly tables: BrokerTables;
  readonly acknowledging: Gathering<ClaimedDelivery, Ending>;
  readonly log: EventLog;
  readonly crashPoint: CrashPoint;
  readonly wake: () => void;
}

/** One subscriber: claims as many deliveries as it has hands free, never more. */
interface Member extends Subscribed {
  readonly subscription: string;
  /** It has hands free; when there is more than it has hands for, half of them, or the last claim was a while ago. */
  mayClaim(): boolean;
  inHand(): readonly ClaimedDelivery[];
  hasSuspect(): boolean;
  /** The last claim brought as many as it asked for, or there is something new since. */
  mayHaveMore(): boolean;
  /** There is something new: it looks as soon as that is worth a claim. */
  expect(): void;
  /** When it last asked for a claim. */
  claimedAt(): number;
  /** Hands that have nothing to do. */
  freeCount(): number;
  /** Begins its own of a claim, which was asked for `limit` of them. Answers how many. */
  take(claiming: Promise<readonly ClaimedDelivery[]>, limit: number, suspects: boolean): Promise<number>;
}

function createMember({ subscription, concurrency }: Subscriber, deliver: Deliver, shared: Shared): Member {
  const { clock, tables, acknowledging, log, crashPoint, wake } = shared;
  /** In hand: until the tables know how it ended. */
  const running = new Map<ClaimedDelivery, Promise<void>>();
  /** Of these, those that a handler has. */
  const handling = new Set<ClaimedDelivery>();
  const suspects = new Set<ClaimedDelivery>();
  let claiming: Promise<unknown> = Promise.resolve();
  let stopped = false;
  let mayHaveMore = false;
  let arrivals = 0;
  let claimedAt = Number.NEGATIVE_INFINITY;
  let stopWaiting: (() => void) | undefined;

  const freeCount = (): number => (stopped ? 0 : concurrency - handling.size);
  const isWorthAClaim = (): boolean => freeCount() * 2 >= concurrency || clock.now() - claimedAt >= distanceMs;
  /** A claim for each hand that comes free would be a statement for each event. */
  const wakeForMore = (): void => {
    if (isWorthAClaim()) wake();
    else
      stopWaiting ??= clock.after(distanceMs, () => {
        stopWaiting = undefined;
        wake();
      });
  };
  const expect = (): void => {
    mayHaveMore = true;
    arrivals++;
  };
  const expectAndWake = (): void => {
    expect();
    wakeForMore();
  };
  /** Delivers, and tells the tables how it ended. */
  const handOver = async (claimed: ClaimedDelivery): Promise<Ending> => {
    try {
      await deliver(claimed.delivery);
    } catch (thrown) {
      const { delayMs, counted } = refusalOf(thrown);
      if (!(await tables.refuse(claimed, delayMs, counted))) return "lost";
      if (delayMs > 0 && delayMs < soonMs) clock.after(delayMs, expectAndWake);
      return delayMs > 0 ? "last" : "more";
    }
    handling.delete(claimed);
    if (mayHaveMore) wakeForMore();
    const arrivedBefore = arrivals;
    const ending = await acknowledging.add(claimed);
    crashPoint("delivery.acked");
    // What has arrived meanwhile may not have been seen, and a claim of it may have seen this one.
    return ending === "last" && arrivals !== arrivedBefore ? "more" : ending;
  };
  const run = async (claimed: ClaimedDelivery): Promise<void> => {
    const ending = await handOver(claimed);
    if (ending === "more") expect();
    if (ending !== "lost") return;
    log.warn(
      { subscription, eventId: claimed.delivery.message.id },
      "the lease of a delivery was lost; it comes again",
    );
  };
  const begin = (claimed: ClaimedDelivery, suspect: boolean): void => {
    crashPoint("delivery.claimed");
    if (suspect) suspects.add(claimed);
    handling.add(claimed);
    const over = run(claimed)
      .catch((thrown) =>
        log.warn({ subscription, err: thrown }, "the end of a delivery could not be noted; it comes again"),
      )
      .then(() => {
        running.delete(claimed);
        handling.delete(claimed);
        if (suspects.delete(claimed)) wake();
        if (mayHaveMore) wakeForMore();
      });
    running.set(claimed, over);
  };
  const beginOwn = async (claim: Promise<readonly ClaimedDelivery[]>, limit: number, asSuspects: boolean) => {
    if (!asSuspects) mayHaveMore = false;
    claimedAt = clock.now();
    const claimed = (await claim).filter((each) => each.subscription === subscription);
    if (!asSuspects && claimed.length === limit) mayHaveMore = true;
    for (const each of claimed) begin(each, asSuspects);
    // What keeps the next claim away from a full one is that the hands are full.
    return Math.min(claimed.length, claimed.length === limit ? 1 : claimed.length);
  };

  return {
    subscription,
    mayClaim: () => freeCount() > 0 && (!mayHaveMore || isWorthAClaim()),
    inHand: () => [...running.keys()],
    hasSuspect: () => suspects.size > 0,
    mayHaveMore: () => mayHaveMore,
    expect: expectAndWake,
    claimedAt: () => claimedAt,
    freeCount,
    take(claim, limit, asSuspects) {
      const taking = beginOwn(claim, limit, asSuspects);
      claiming = taking.catch(() => {});
      return taking;
    },
    async stop() {
      stopped = true;
      stopWaiting?.();
      // What was claimed before the stop was heard runs too: its attempt is counted.
      await claiming;
      await Promise.all(running.values());
    },
  };
}
