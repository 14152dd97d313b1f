import { createHash } from "node:crypto";
import type { Clock } from "../base/index.ts";
import type { DatabaseDriver, Session } from "./driver.ts";

/** The primary had come so far when, by this process's clock, it was asked, or further. */
export interface Sample {
  readonly at: number;
  readonly place: bigint;
}

export interface Lag {
  readonly msMin: number;
  readonly msMax: number;
}

/**
 * How far the primary's log is: asked when needed and now and then, and remembered for 10 minutes.
 *
 * A place is the timeline and, below it, the log's position, so places of a server that took over are later than all
 * before. The position is that of *insertion*: with `synchronous_commit = off` a commit is acknowledged before it is
 * written or flushed, and the position of writing would lie before it.
 *
 * What a replica that has reached a sample's place lacks is at most what came after the sample was asked for. That is how
 * staleness is measured here: with one clock, right on an idle primary too, where `pg_last_xact_replay_timestamp()` grows
 * old though nothing is missing.
 */
export class PrimaryLog {
  /** The cluster, as a `Position` names it. Unknown until it was asked. */
  name: string | undefined = undefined;
  readonly #driver: DatabaseDriver;
  readonly #clock: Clock;
  /** Oldest first, at least `keepEveryMs` apart. */
  readonly #samples: Sample[] = [];
  #latest: Sample | undefined = undefined;
  #running: Promise<Sample> | undefined = undefined;
  #next: Promise<Sample> | undefined = undefined;

  constructor(driver: DatabaseDriver, clock: Clock) {
    this.#driver = driver;
    this.#clock = clock;
  }

  get latest(): Sample | undefined {
    return this.#latest;
  }

  /** On a session of the primary that is free: after a commit on it, a place that holds the commit. */
  async read(session: Session): Promise<Sample> {
    const at = this.#clock.now();
    const text = this.name === undefined ? `${placeText}, ${nameText}` : placeText;
    const { rows } = await session.query(text, [], { timeoutMs: askTimeoutMs });
    const { lsn, file, id } = rows[0] as { lsn: string; file: string; id?: string };
    if (id !== undefined) this.name = nameOf(id);
    const sample = { at, place: placeOf(Number.parseInt(file.slice(0, 8), 16), lsn) };
    this.#keep(sample);
    return sample;
  }

  /** Asks the primary. Who asks while an answer is on its way gets the next one: the first may have been too early. */
  current(): Promise<Sample> {
    if (!this.#running) {
      this.#running = this.#ask().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.current();
      });
    return this.#next;
  }

  /** The oldest of those asked for at `since` or later: who has reached it lacks nothing from before. */
  since(since: number): Sample | undefined {
    const kept = this.#samples.find(({ at }) => at >= since);
    if (kept) return kept;
    return this.#latest && this.#latest.at >= since ? this.#latest : undefined;
  }

  /** How old what a replica at `place` lacks is: at least, and at most. Undefined when nothing was sampled. */
  lagOf(place: bigint): Lag | undefined {
    const latest = this.#latest;
    if (!latest) return undefined;
    if (place >= latest.place) return { msMin: 0, msMax: 0 };
    const now = this.#clock.now();
    const reached = this.#samples.findLast((sample) => sample.place <= place) ?? this.#samples[0] ?? latest;
    const lacking = this.#samples.find((sample) => sample.place > place) ?? latest;
    return { msMin: now - lacking.at, msMax: now - reached.at };
  }

  async #ask(): Promise<Sample> {
    const session = await this.#driver.acquire({ schema: "public", timeoutMs: askTimeoutMs });
    try {
      return await this.read(session);
    } finally {
      session.release();
    }
  }

  #keep(sample: Sample): void {
    if (this.#latest && sample.at < this.#latest.at) return;
    this.#latest = sample;
    const last = this.#samples.at(-1);
    if (last && sample.at - last.at < keepEveryMs) return;
    this.#samples.push(sample);
    if (sample.at - (this.#samples[0] as Sample).at > keepMs) this.#samples.shift();
  }
}

export const keepMs = 600_000;
const keepEveryMs = 250;
const askTimeoutMs = 1_000;

const placeText =
  "select pg_current_wal_insert_lsn()::text as lsn, pg_walfile_name(pg_current_wal_insert_lsn()) as file";
const nameText = "(select system_identifier::text from pg_control_system()) as id";

/** Not the identifier itself: positions go to clients. */
export function nameOf(systemIdentifier: string): string {
  return createHash("sha256").update(`plinth position ${systemIdentifier}`).digest("hex").slice(0, 10);
}

/** A place from a timeline and a position as PostgreSQL prints it, "16/B374D848". */
export function placeOf(timeline: number, lsn: string): bigint {
  const [high, low] = lsn.split("/") as [string, string];
  return (BigInt(timeline) << 64n) | (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
