import type { CallContext, Clock, Position, Random } from "../base/index.ts";
import { isError, placeUnknown, StartError, systemClock, systemRandom } from "../base/index.ts";
import type { DatabaseDriver, Session } from "./driver.ts";
import { keepMs, PrimaryLog } from "./primary-log.ts";
import type { ReplicaSession, ReplicaStats } from "./replica.ts";
import { Replica } from "./replica.ts";

/**
 * The streaming replicas of one PostgreSQL server, and which read may go to which of them.
 *
 * **Promises.** A read sees at least what the calls around it have written (`Position`), wherever it runs; without a
 * position and without a bound it sees at least what the primary had committed when it was asked. With a bound it lacks
 * at most what is younger than that; without one, at most what is younger than `stalenessMaxMs`. A replica that lags,
 * stops, restarts, is promoted, belongs to another cluster, or cancels a query because of replay costs time, never an
 * error: the primary answers instead. No write is possible through such a read.
 *
 * **Not promised.** Two reads of one call may run on different replicas, and the second may see less than the first beyond
 * what the call itself wrote: read in one `session` or `transaction` what belongs together. A write by a plain `select`
 * outside of a transaction is not noticed where its text does not show it: in a view, a policy, an operator, a cast, or a
 * function with the name of one of PostgreSQL's own. **Take no decision on such a read**: between two replicas commits can
 * become visible in different orders, and between a read and the write that follows from it the world goes on. Read in the
 * transaction that writes, on the primary.
 *
 * **How.** Each read becomes one number: the place in the primary's log that a replica must have reached. Replicas that
 * are known to be there come first, of these the least busy. One that is not there yet may take `waitMs` to get there, if
 * it usually is that near; then the primary answers. A place beyond all that is known is checked with the primary first: a
 * caller who made it up gets the primary at once, and no replica waits for it. A replica that fails is put aside for 250 ms,
 * doubling up to 15 s, and asked again by the probe. After a failover the replicas of the new primary serve again once they
 * have passed a restart point on its timeline.
 *
 * **Limits.** A probe of the primary and of each replica every 500 ms; a bound above 10 min counts as 10 min. Costs: two
 * statements for a read on a replica; one more on the primary for each commit of a call, and for each statement that might
 * have written (write-check.ts); none without replicas.
 */
export class Replicas {
  readonly log: PrimaryLog;
  /** Reads that the primary had to answer, and reads that waited for a replica. */
  primaryReadCount = 0;
  readonly #settings: Required<Omit<ReplicasOptions, "onChange">>;
  readonly #members: readonly Replica[];
  #turn = 0;
  #stopProbe: (() => void) | undefined = undefined;
  #isClosed = false;

  constructor(options: ReplicasOptions) {
    refuseWithoutServer(options);
    const { clock = systemClock, random = systemRandom, waitMs = 50, checkTimeoutMs = 250, onChange } = options;
    const { primary, replicas, probeMs = 500, stalenessMaxMs = 10_000 } = options;
    this.#settings = { primary, replicas, clock, random, waitMs, checkTimeoutMs, probeMs, stalenessMaxMs };
    this.log = new PrimaryLog(primary, clock);
    const changed = onChange && (() => onChange(this.stats));
    const settings = { clock, random, waitMs, checkTimeoutMs, onChange: changed };
    this.#members = replicas.map((driver) => new Replica(driver, this.log, settings));
  }

  now(): number {
    return this.#settings.clock.now();
  }

  get stats(): readonly ReplicaStats[] {
    return this.#members.map((member) => member.stats);
  }

  /** Begins to probe. Waits for the first answers, at most a second; a replica that is not there is no failure. */
  async open(): Promise<void> {
    if (this.#isClosed || this.#stopProbe) return;
    const { clock, probeMs } = this.#settings;
    this.#stopProbe = clock.every(probeMs, () => void this.#probe());
    await new Promise<void>((resolve) => {
      const stop = clock.after(openWaitMs, resolve);
      this.#probe().then(() => {
        stop();
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopProbe?.();
    await Promise.all(this.#members.map((member) => member.close()));
  }

  /** A session on a replica that may serve this read; undefined when the primary must. */
  async lease(read: Read): Promise<ReplicaSession | undefined> {
    if (!this.#stopProbe) await this.open();
    const target = this.#members.some((member) => member.mayReach(0n)) ? await this.#targetOf(read) : undefined;
    if (target !== undefined) {
      const waitUntil = this.#settings.clock.now() + this.#settings.waitMs;
      const { schema, context } = read;
      // The last one has the waiting: the others may be there already.
      const candidates = this.#candidates(target);
      for (const [i, member] of candidates.entries()) {
        const isLast = i === candidates.length - 1;
        const session = await member.lease({ schema, context, target, waitUntil: isLast ? waitUntil : 0 });
        if (session) return Object.assign(session, { member });
      }
    }
    this.primaryReadCount++;
    return undefined;
  }

  /** A statement failed on a replica, and is going to be answered elsewhere. */
  noteFailure(session: ReplicaSession): void {
    const { member } = session as ReplicaSession & { readonly member?: Replica };
    if (session.failure) member?.noteFailure(session.failure);
  }

  /** Something was committed on `session` of the primary: who reads after it must see it. Never rejects. */
  async noteWrite(session: Session, position: Position): Promise<void> {
    const { log } = this;
    const sample = await log.read(session).catch(() => log.current().catch(() => undefined));
    if (log.name === undefined) position.demandCurrent();
    else position.advance(log.name, sample?.place ?? placeUnknown);
  }

  /** The place that a replica must have reached to serve a read. */
  async #targetOf({ position, wroteAt, stalenessMs }: Read): Promise<bigint | undefined> {
    const { log } = this;
    try {
      if (log.name === undefined) await log.current();
      const name = log.name as string;
      const known = position?.at(name);
      if (known === placeUnknown) return undefined;
      // It may come from outside: what the primary itself has not reached, no replica is kept busy with.
      if (known !== undefined && !this.#isReached(known) && known > (await log.current()).place) return undefined;
      if (known === undefined && (stalenessMs === undefined || position?.othersCurrent)) {
        const { place } = await log.current();
        position?.advance(name, place);
        return place;
      }
      const boundMs = Math.min(stalenessMs ?? this.#settings.stalenessMaxMs, keepMs);
      const since = Math.max(this.now() - boundMs, wroteAt);
      const { place } = log.since(since) ?? (await log.current());
      return known !== undefined && known > place ? known : place;
    } catch (thrown) {
      // Nobody can say how far the primary is: it answers itself, or its error is the answer.
      if (isError(thrown)) return undefined;
      throw thrown;
    }
  }

  /** As far as is known without asking. */
  #isReached(place: bigint): boolean {
    const { latest } = this.log;
    return (latest !== undefined && latest.place >= place) || this.#members.some((member) => member.place >= place);
  }

  /** Those that are there, then those that may get there; of these the least busy, and all in turn. */
  #candidates(target: bigint): readonly Replica[] {
    const count = this.#members.length;
    const turn = this.#turn++ % count;
    const turned = [...this.#members.slice(turn), ...this.#members.slice(0, turn)];
    const rank = (member: Replica): number => (member.place >= target ? 0 : 1);
    return turned
      .filter((member) => member.mayReach(target))
      .sort((a, b) => rank(a) - rank(b) || a.inFlight - b.inFlight)
      .slice(0, candidatesMax);
  }

  async #probe(): Promise<void> {
    await this.log.current().catch(() => {});
    await Promise.all(this.#members.map((member) => member.probe()));
  }
}

export interface ReplicasOptions {
  readonly primary: DatabaseDriver;
  /** At least one, each a standby of the primary that streams from it. */
  readonly replicas: readonly DatabaseDriver[];
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long a read waits for a replica to get far enough. Default 50. */
  readonly waitMs?: number;
  /** How long a replica may take to say how far it is. Default 250. */
  readonly checkTimeoutMs?: number;
  /** Default 500. */
  readonly probeMs?: number;
  /** What a read without a bound of its own accepts at most beyond its position. Default 10,000. */
  readonly stalenessMaxMs?: number;
  /** Called when a replica went away or came back. Must not throw. */
  readonly onChange?: (replicas: readonly ReplicaStats[]) => void;
}

/** A read, as far as it matters where it runs. */
export interface Read {
  readonly schema: string;
  /** Of the call. Without one, `wroteAt` says when its database was last written to, in `Replicas.now()`. */
  readonly position: Position | undefined;
  readonly wroteAt: number;
  readonly stalenessMs: number | undefined;
  readonly context: CallContext | undefined;
}

const openWaitMs = 1_000;
const candidatesMax = 2;

/** Made once for each primary in a process, and given to all databases on it. */
export function createReplicas(options: ReplicasOptions): Replicas {
  return new Replicas(options);
}

function refuseWithoutServer({ primary, replicas }: ReplicasOptions): void {
  const engines = [primary, ...replicas].filter((driver) => !driver.flags.multipleProcesses);
  if (engines.length === 0 && replicas.length > 0) return;
  throw new StartError(
    "REPLICAS_UNSUPPORTED",
    replicas.length === 0
      ? "replicas: the list is empty: name at least one, or leave replicas out."
      : `replicas: ${engines[0]?.name} has none, as it is embedded in one process: use Postgres, or leave replicas out.`,
  );
}
