import type { CallContext, Clock, PlinthError, Random } from "../base/index.ts";
import { error, isError } from "../base/index.ts";
import type { DatabaseDriver, DatabaseStats, QueryResult, Session, StatementLimits } from "./driver.ts";
import { breaksSession, toDatabaseError } from "./errors.ts";
import type { Lag, PrimaryLog } from "./primary-log.ts";
import { nameOf, placeOf } from "./primary-log.ts";
import type { SqlText } from "./values.ts";

/** What is known of one replica. */
export interface ReplicaStats {
  readonly state: "ready" | "away";
  /** Why it is away: the reason of an error, or REPLICA_PROMOTED, REPLICA_FOREIGN, REPLICA_SLOW. */
  readonly reason: string | undefined;
  /** What it lacks at most, by time and by the log's bytes, when it was last asked. Undefined: not known. */
  readonly lagMs: number | undefined;
  readonly lagBytes: number | undefined;
  /** Reads on it now, and until now; and those that failed on it and were answered elsewhere. */
  readonly inFlight: number;
  readonly readCount: number;
  readonly failureCount: number;
  readonly sessions: DatabaseStats;
}

export interface ReplicaSettings {
  readonly clock: Clock;
  readonly random: Random;
  readonly waitMs: number;
  readonly checkTimeoutMs: number;
  readonly onChange: (() => void) | undefined;
}

export interface ReplicaAsk {
  readonly schema: string;
  /** The place that it must have reached. */
  readonly target: bigint;
  /** In `clock.now()` milliseconds: until then it may wait for the place. */
  readonly waitUntil: number;
  readonly context: CallContext | undefined;
}

/**
 * One replica: whether it can be used, how far it is, and sessions on it that have reached a place.
 *
 * A session is asked how far the replica is *before* anything is read on it, by a statement of its own. The replica only
 * moves on, so what is read afterwards is that far or further; and should it be restarted in between, which can set it
 * back, the session is gone. Asked in one statement or one snapshot with the read, the answer would be newer than the data.
 */
export class Replica {
  place = 0n;
  inFlight = 0;
  readCount = 0;
  failureCount = 0;
  readonly driver: DatabaseDriver;
  readonly #log: PrimaryLog;
  readonly #settings: ReplicaSettings;
  readonly #sessions = new Set<ReplicaSession>();
  #lag: Lag | undefined = undefined;
  #isOpen = false;
  #away: string | undefined = "REPLICA_NOT_OPEN";
  #failures = 0;
  #retryAt = 0;
  #probing: Promise<void> | undefined = undefined;

  constructor(driver: DatabaseDriver, log: PrimaryLog, settings: ReplicaSettings) {
    this.driver = driver;
    this.#log = log;
    this.#settings = settings;
  }

  get stats(): ReplicaStats {
    const latest = this.#log.latest?.place;
    return {
      state: this.#away === undefined ? "ready" : "away",
      reason: this.#away,
      lagMs: this.#lag?.msMax,
      lagBytes: latest === undefined || this.place === 0n ? undefined : bytesBetween(this.place, latest),
      inFlight: this.inFlight,
      readCount: this.readCount,
      failureCount: this.failureCount,
      sessions: this.driver.stats,
    };
  }

  /** False when it is away, or so far behind that waiting for the place is in vain. */
  mayReach(target: bigint): boolean {
    if (this.#away !== undefined) return false;
    return this.place >= target || (this.#lag?.msMin ?? 0) <= this.#settings.waitMs;
  }

  /** Whether it works and how far it is; when it is away, only once its time has come. Never rejects. */
  probe(): Promise<void> {
    if (this.#away !== undefined && this.#settings.clock.now() < this.#retryAt) return Promise.resolve();
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async close(): Promise<void> {
    this.#away = "REPLICA_NOT_OPEN";
    await this.driver.close();
  }

  /** A session that has reached the target, or undefined: it has not, or does not answer. */
  async lease(ask: ReplicaAsk): Promise<ReplicaSession | undefined> {
    const { clock } = this.#settings;
    this.inFlight++;
    let session: ReplicaSession | undefined;
    try {
      session = await this.#acquire(ask.schema, ask.context, this.#settings.checkTimeoutMs);
      for (let delayMs = delayMsBase; ; delayMs *= 2) {
        const place = await this.#check(session, this.#settings.checkTimeoutMs);
        if (place >= ask.target) {
          this.readCount++;
          return session;
        }
        const leftMs = ask.waitUntil - clock.now();
        if (leftMs <= 0 || ask.context?.cancelled) break;
        await clock.sleep(Math.min(delayMs, leftMs));
      }
    } catch (thrown) {
      this.#note(toDatabaseError(thrown));
    }
    if (session) session.release();
    else this.inFlight--;
    return undefined;
  }

  /** A statement on one of its sessions failed. */
  noteFailure(failure: PlinthError): void {
    this.failureCount++;
    this.#note(failure);
  }

  /** What says that the replica itself is of no use now puts it aside; a full pool or a wrong statement does not. */
  #note(failure: PlinthError): void {
    if (
      failure.reason === "DATABASE_BUSY" ||
      !(failure.code === "unavailable" || failure.reason === "DATABASE_EXHAUSTED")
    ) {
      return;
    }
    if (failure.reason !== "DATABASE_READ_ONLY") this.#putAside(failure.reason);
  }

  async #probe(): Promise<void> {
    try {
      if (!this.#isOpen) {
        await this.driver.open();
        this.#isOpen = true;
      }
      const session = await this.#acquire("public", undefined, probeTimeoutMs);
      this.inFlight++;
      try {
        await this.#check(session, probeTimeoutMs);
      } finally {
        session.release();
      }
    } catch (thrown) {
      if (isError(thrown, "DATABASE_BUSY")) return;
      this.#putAside(thrown instanceof Error && "reason" in thrown ? String(thrown.reason) : "DATABASE_UNAVAILABLE");
      // What runs on it may never end by itself: it is answered elsewhere.
      for (const running of [...this.#sessions]) running.abandon();
      return;
    }
    if (this.#away !== undefined) {
      this.#away = undefined;
      this.#settings.onChange?.();
    }
    this.#failures = 0;
    this.#lag = this.#log.lagOf(this.place);
  }

  async #acquire(schema: string, context: CallContext | undefined, timeoutMs: number): Promise<ReplicaSession> {
    const acquiring = this.driver.acquire({ schema, timeoutMs, context });
    const session = await this.#within(timeoutMs, acquiring, (late) => late.release());
    const made = new ReplicaSession(session, () => {
      this.inFlight--;
      this.#sessions.delete(made);
    });
    this.#sessions.add(made);
    return made;
  }

  async #check(session: Session, timeoutMs: number): Promise<bigint> {
    // The statement's own limit lies above: to end it on the server takes longer than to do without.
    const asking = session.query(checkText, [], { timeoutMs: timeoutMs * 2 });
    const { rows } = await this.#within(timeoutMs, asking, () => {}).catch((thrown) => {
      session.release(true);
      throw thrown;
    });
    const { recovering, replayed, timeline, id } = rows[0] as unknown as CheckRow;
    if (!recovering || replayed === null) throw unusable("REPLICA_PROMOTED");
    if (this.#log.name !== undefined && nameOf(id) !== this.#log.name) throw unusable("REPLICA_FOREIGN");
    this.place = placeOf(timeline, replayed);
    return this.place;
  }

  #putAside(reason: string): void {
    const { clock, random } = this.#settings;
    const ceilingMs = Math.min(awayMsBase * 2 ** Math.min(this.#failures++, 10), awayMsMax);
    this.#retryAt = clock.now() + ceilingMs * (0.5 + random.next() / 2);
    const isNews = this.#away !== reason;
    this.#away = reason;
    this.#lag = undefined;
    if (isNews) this.#settings.onChange?.();
  }

  /** `work`, if it comes in time. What comes too late goes to `onLate`. */
  #within<T>(timeoutMs: number, work: Promise<T>, onLate: (value: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      let isLate = false;
      const stop = this.#settings.clock.after(timeoutMs, () => {
        isLate = true;
        reject(unusable("REPLICA_SLOW"));
      });
      work.then(
        (value) => {
          stop();
          if (isLate) onLate(value);
          else resolve(value);
        },
        (thrown) => {
          stop();
          reject(thrown);
        },
      );
    });
  }
}

/** A session on a replica. Its statements also end when the replica is given up. */
export class ReplicaSession implements Session {
  /** The first failure of a statement on it. */
  failure: PlinthError | undefined = undefined;
  readonly #session: Session;
  readonly #onRelease: () => void;
  #isReleased = false;
  #isAbandoned = false;
  #abandon: ((reason: PlinthError) => void) | undefined = undefined;

  constructor(session: Session, onRelease: () => void) {
    this.#session = session;
    this.#onRelease = onRelease;
  }

  query(text: string, values: readonly SqlText[], limits: StatementLimits): Promise<QueryResult> {
    return this.#race(() => this.#session.query(text, values, limits));
  }

  script(text: string, limits: StatementLimits): Promise<void> {
    return this.#race(() => this.#session.script(text, limits));
  }

  release(broken = false): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#onRelease();
    this.#session.release(broken || this.#isAbandoned || (this.failure !== undefined && breaksSession(this.failure)));
  }

  abandon(): void {
    this.#isAbandoned = true;
    this.#abandon?.(unusable("REPLICA_SLOW"));
  }

  #race<R>(work: () => Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.#isAbandoned) return reject(unusable("REPLICA_SLOW"));
      this.#abandon = reject;
      work().then(resolve, reject);
    }).catch((thrown) => {
      const failure = toDatabaseError(thrown);
      this.failure ??= failure;
      throw failure;
    });
  }
}

interface CheckRow {
  readonly recovering: boolean;
  readonly replayed: string | null;
  readonly timeline: number;
  readonly id: string;
}

/**
 * The timeline is that of the replica's last restart point, which may lie behind: after a failover a replica is used again
 * once it has one on the new timeline (`checkpoint_timeout`). One that still follows the old primary never is.
 */
const checkText =
  "select pg_is_in_recovery() as recovering, pg_last_wal_replay_lsn()::text as replayed, " +
  "(select timeline_id from pg_control_checkpoint()) as timeline, " +
  "(select system_identifier::text from pg_control_system()) as id";

const probeTimeoutMs = 1_000;
const delayMsBase = 4;
const awayMsBase = 250;
const awayMsMax = 15_000;

function bytesBetween(behind: bigint, ahead: bigint): number {
  const mask = 2n ** 64n - 1n;
  return Math.max(0, Number((ahead & mask) - (behind & mask)));
}

/** Never reaches a caller: the read goes elsewhere. */
function unusable(reason: "REPLICA_PROMOTED" | "REPLICA_FOREIGN" | "REPLICA_SLOW"): PlinthError {
  return error("unavailable", "The replica cannot be used.", { reason, executed: "no" });
}
