import type { Clock, Random } from "../base/index.ts";
import { assert, createIds, error, systemClock, systemRandom } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { readyLease } from "./lease-row.ts";

/**
 * One holder at a time among many processes: a row (name, owner, epoch, expires_at) in the service's schema, by the
 * database's time alone, so that no two clocks are ever compared.
 *
 * **Promises.** While one holder's lease has not expired nobody else takes it. Each taking has a higher epoch than all
 * before. An effect whose transaction called `fence` commits while its epoch is the newest, or not at all: the row is
 * held FOR KEY SHARE until then, and who wants to take the lease passes it by. The holder stops believing before the
 * database does, `marginMs` (a third of the TTL, at most 5 s) early, by the monotonic clock, counted from before the
 * renewal was sent.
 *
 * **Not promised.** That a process which was stopped and goes on notices at once. `held()` is an answer about the
 * moment in which it is asked: after an `await` it is old. What must not happen twice belongs in a transaction with
 * `fence`.
 *
 * **Limits.** TTL 15 s, renewed every 5 s. When the holder dies, another takes over within TTL plus a moment; when it
 * drains, within `renewMs`. A fenced transaction holds the take-over back for as long as it is open: it is ended by the
 * server after the TTL without a statement. Two short statements for each renewal at most, none in a session of its
 * own, so poolers in transaction mode do.
 */
export interface Lease {
  readonly name: string;
  /** With an id of this holder: two of one process are two. */
  readonly owner: string;
  /** Tries to take it, now and again and again, and renews it while held. */
  start(): void;
  /** Whether this holder may act now, by the clock. */
  held(): boolean;
  /** Of the present holding; undefined while not held. */
  epoch(): string | undefined;
  /**
   * Throws LEASE_LOST unless the lease is held in the database by `epoch`, and keeps it so until `tx` ends. Give the
   * epoch under which the work began; the present one unless told.
   */
  fence(tx: Transaction, epoch?: string): Promise<void>;
  /** Looks once, now. Answers whether it is held. For those who wait: `start` does it by itself. */
  look(): Promise<boolean>;
  /** Stops trying, and gives it back so that another may take it at once. Calls no `onLost`. */
  release(): Promise<void>;
  stats(): LeaseStats;
}

export interface LeaseStats {
  readonly held: boolean;
  readonly takenCount: number;
  readonly lostCount: number;
}

export interface LeaseOptions {
  /** With `eventMigrations` applied. */
  readonly database: Database;
  /** What is leased: "schedules". At most 200 characters. */
  readonly name: string;
  /** Who asks, for people: "worker-3". */
  readonly owner: string;
  readonly ttlMs?: number;
  readonly renewMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly onTaken?: (epoch: string) => void;
  /** Once for each loss: the clock said so, another holder has it, or the database did not answer in time. */
  readonly onLost?: (why: "expired" | "taken") => void;
  /** A look that failed; the next one comes by itself. */
  readonly onError?: (thrown: unknown) => void;
  /** @internal False lets every fence pass, to show what it is for. */
  readonly fenced?: boolean;
}

const marginMsMax = 5_000;
const nameLengthMax = 200;

export function createLease(options: LeaseOptions): Lease {
  const { database, name, ttlMs = 15_000, renewMs = 5_000, clock = systemClock, random = systemRandom } = options;
  assert(name !== "" && name.length <= nameLengthMax, `a lease's name has 1 to ${nameLengthMax} characters`);
  const marginMs = Math.min(marginMsMax, ttlMs / 3);
  assert(renewMs >= 10 && renewMs < ttlMs - marginMs, "a lease is renewed before its holder gives it up");
  const owner = `${options.owner}#${createIds(clock, random)()}`;
  const row = readyLease({ schema: database.schema, name, owner, ttlMs });
  const statementTimeoutMs = Math.max(1_000, Math.min(renewMs, ttlMs - marginMs));
  let state: "new" | "running" | "released" = "new";
  let epoch: string | undefined;
  let heldUntil = Number.NEGATIVE_INFINITY;
  let current: Promise<void> | undefined;
  let cancelNext = () => {};
  let cancelExpiry = () => {};
  let takenCount = 0;
  let lostCount = 0;

  const isHeld = (): boolean => epoch !== undefined && clock.now() < heldUntil;
  const forget = (): void => {
    cancelExpiry();
    epoch = undefined;
  };
  const lose = (why: "expired" | "taken"): void => {
    if (epoch === undefined) return;
    forget();
    lostCount++;
    options.onLost?.(why);
  };
  const hold = (sentAt: number): void => {
    heldUntil = sentAt + ttlMs - marginMs;
    cancelExpiry();
    cancelExpiry = clock.after(heldUntil - clock.now(), () => lose("expired"));
  };

  /** One look. Answers how long to wait for the next. */
  const tryOnce = async (): Promise<number> => {
    const sentAt = clock.now();
    const held = epoch;
    // What is over by the clock is over, also when the timer that says so comes late.
    if (held !== undefined && !isHeld()) lose("expired");
    else if (held !== undefined) {
      const renewed = await database.session((session) => row.renew(session, held), { statementTimeoutMs });
      // Meanwhile it may be over by the clock: then the answer comes too late to be believed.
      if (epoch !== held) return 0;
      if (renewed) hold(sentAt);
      else lose("taken");
      return renewed ? renewMs : jitter();
    }
    const { taken, leftMs } = await database.session((session) => row.take(session), { statementTimeoutMs });
    if (taken === undefined) return Math.min(renewMs, Math.max(0, leftMs) + jitter());
    if (state === "released") {
      await row.release(database, taken);
      return renewMs;
    }
    epoch = taken;
    takenCount++;
    hold(sentAt);
    if (!isHeld()) lose("expired");
    else options.onTaken?.(taken);
    return renewMs;
  };
  const jitter = (): number => 1 + (random.next() * Math.min(renewMs, 1_000)) / 5;

  const plan = (waitMs: number): void => {
    if (state === "running") cancelNext = clock.after(waitMs, () => void look());
  };
  const look = (): Promise<void> => {
    cancelNext();
    current ??= tryOnce()
      .catch((thrown: unknown) => {
        options.onError?.(thrown);
        return Math.min(renewMs, 1_000);
      })
      .then((waitMs) => {
        current = undefined;
        plan(waitMs);
      });
    return current;
  };

  return {
    name,
    owner,
    start() {
      if (state !== "new") return;
      state = "running";
      void look();
    },
    held: isHeld,
    epoch: () => (isHeld() ? epoch : undefined),
    async fence(tx, began = epoch) {
      if (options.fenced === false) return;
      if (began === undefined || began !== epoch || !isHeld() || !(await row.fence(tx, began))) throw leaseLost(name);
    },
    async look() {
      if (state !== "released") await look();
      return isHeld();
    },
    async release() {
      if (state === "released") return;
      state = "released";
      cancelNext();
      await current;
      const held = epoch;
      forget();
      if (held !== undefined) await row.release(database, held).catch((thrown: unknown) => options.onError?.(thrown));
    },
    stats: () => ({ held: isHeld(), takenCount, lostCount }),
  };
}

function leaseLost(name: string): Error {
  return error("aborted", "Another process does this now.", {
    reason: "LEASE_LOST",
    executed: "no",
    retry: "never",
    detail: { message: `the lease "${name}" is not held by this process any more` },
  });
}
