import { setTimeout as sleep } from "node:timers/promises";
import { Histogram } from "./histogram.ts";
import { type HttpConnection, type Origin, openConnection } from "./http-connection.ts";
import { type RouteReport, Tally } from "./open-loop-tally.ts";

/** One request, and what may come of its answer. */
export interface Shot {
  /** Under which it is counted. */
  readonly name: string;
  /** `"http://127.0.0.1:8080"` */
  readonly origin: string;
  /** The whole request. Nobody may change it while it is on its way. */
  readonly bytes: Buffer;
  /** Told the status once, undefined where none came. What it answers is sent next, and is due at this moment. */
  readonly onAnswer?: (status: number | undefined) => Shot | undefined;
}

export interface ShotOptions {
  /** Requests for each second; those that follow others come on top. `"closed"`: each connection sends its next when it has an answer. */
  readonly rate: number | "closed";
  readonly seconds: number;
  /** Sent before, at the same rate, and not counted. Default 0. */
  readonly warmSeconds?: number;
  /** Equal pauses, or as if each client decided by itself. Default "poisson". */
  readonly arrivals?: "constant" | "poisson";
  /** To each origin. Default 512. Above, requests wait here, and that counts. */
  readonly connectionsMax?: number;
  /** When a client gives up. Default 5,000. */
  readonly timeoutMs?: number;
  /** Later than this is no use to a client: it does not count as good. Default: as long as it waits. */
  readonly goodMs?: number;
  /** Called when the warm-up is over and what counts begins. */
  readonly onCount?: () => void;
  /** The next request: whose it is and what it asks. */
  draw(): Shot;
}

export interface LoadReport {
  readonly seconds: number;
  readonly all: RouteReport;
  readonly routes: Readonly<Record<string, RouteReport>>;
  /** By the second in which requests were meant to be sent. */
  readonly timeline: readonly Moment[];
  /** How late requests left, at worst but for one in a thousand: what the numbers are blurred by. */
  readonly lateMs: number;
}

export interface Moment {
  sent: number;
  good: number;
}

interface Job {
  readonly shot: Shot;
  readonly dueAt: number;
  /** Undefined: not counted. */
  readonly tally: Tally | undefined;
  readonly moment: Moment | undefined;
  connection: HttpConnection | undefined;
  isOver: boolean;
}

/** The connections to one origin, and what waits for one. */
class Pool {
  readonly idle: HttpConnection[] = [];
  readonly #origin: Origin;
  #count = 0;
  #waiting: Job[] = [];
  #waitingAt = 0;

  constructor(url: string) {
    const { protocol, hostname, port } = new URL(url);
    this.#origin = { protocol, host: hostname, port: Number(port || (protocol === "https:" ? 443 : 80)) };
  }

  take(countMax: number): HttpConnection | undefined {
    const idle = this.idle.pop();
    return idle || this.#count >= countMax ? idle : this.open();
  }

  open(): HttpConnection {
    this.#count++;
    const connection = openConnection(this.#origin, () => {
      this.#count--;
      const at = this.idle.indexOf(connection);
      if (at !== -1) this.idle.splice(at, 1);
    });
    return connection;
  }

  wait(job: Job): void {
    this.#waiting.push(job);
  }

  /** The next that waits and is still wanted. */
  next(): Job | undefined {
    while (this.#waitingAt < this.#waiting.length) {
      const job = this.#waiting[this.#waitingAt++] as Job;
      if (!job.isOver) return job;
    }
    this.#waiting = [];
    this.#waitingAt = 0;
    return undefined;
  }
}

/** Sends what it draws, at its rate, and counts what becomes of it. */
export class Shooter {
  readonly all = new Tally();
  readonly #tallies = new Map<string, Tally>();
  readonly #options: ShotOptions;
  readonly #connectionsMax: number;
  readonly #timeoutMs: number;
  readonly #goodMs: number;
  readonly #lateness = new Histogram();
  readonly #timeline: Moment[] = [];
  readonly #pools = new Map<string, Pool>();
  /** In the order in which they are due; those in front may be over. */
  readonly #running: Job[] = [];
  #isCounting = false;
  #startedAt = 0;
  #onNote: (() => void) | undefined = undefined;

  constructor(options: ShotOptions) {
    this.#options = options;
    this.#connectionsMax = options.connectionsMax ?? 512;
    this.#timeoutMs = options.timeoutMs ?? 5_000;
    this.#goodMs = options.goodMs ?? this.#timeoutMs;
  }

  /** So many connections are opened, and used once, for a shot that nothing follows. */
  async connect(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { origin, bytes, onAnswer } = this.#options.draw();
      if (onAnswer) {
        onAnswer(undefined);
        continue;
      }
      const pool = this.#poolOf(origin);
      const connection = pool.open();
      await new Promise<void>((resolve) => connection.send(bytes, () => resolve()));
      pool.idle.push(connection);
    }
  }

  async run(): Promise<LoadReport> {
    const { rate, seconds, warmSeconds = 0, onCount } = this.#options;
    if (warmSeconds > 0) await this.#send(rate, warmSeconds);
    this.#isCounting = true;
    onCount?.();
    await this.#send(rate, seconds);
    await this.#end();
    return this.#report(seconds);
  }

  async #send(rate: number | "closed", seconds: number): Promise<void> {
    this.#startedAt = performance.now();
    return rate === "closed" ? this.#sendClosed(seconds) : this.#sendOpen(rate, seconds);
  }

  async #sendOpen(rate: number, seconds: number): Promise<void> {
    const isConstant = this.#options.arrivals === "constant";
    const startedAt = this.#startedAt;
    let dueMs = 0;
    while (dueMs < seconds * 1000) {
      const nowMs = performance.now() - startedAt;
      while (dueMs <= nowMs && dueMs < seconds * 1000) {
        this.#begin(this.#options.draw(), startedAt + dueMs);
        dueMs += (isConstant ? 1 : -Math.log(1 - Math.random())) * (1000 / rate);
      }
      this.#expire();
      await sleep(1);
    }
  }

  async #sendClosed(seconds: number): Promise<void> {
    const endAt = this.#startedAt + seconds * 1000;
    this.#onNote = () => {
      if (performance.now() < endAt) this.#begin(this.#options.draw(), performance.now());
    };
    for (let i = 0; i < this.#connectionsMax; i++) this.#onNote();
    await sleep(seconds * 1000);
    this.#onNote = undefined;
  }

  #begin(shot: Shot, dueAt: number): void {
    const tally = this.#isCounting ? this.#tallyOf(shot.name) : undefined;
    const second = Math.floor((dueAt - this.#startedAt) / 1000);
    let moment: Moment | undefined;
    if (tally) {
      this.#timeline[second] ??= { sent: 0, good: 0 };
      moment = this.#timeline[second];
      tally.sent++;
      this.all.sent++;
      moment.sent++;
    }
    const job: Job = { shot, dueAt, tally, moment, connection: undefined, isOver: false };
    this.#running.push(job);
    this.#place(job, this.#poolOf(shot.origin));
  }

  #place(job: Job, pool: Pool): void {
    const connection = pool.take(this.#connectionsMax);
    if (connection) this.#shoot(job, pool, connection);
    else pool.wait(job);
  }

  #shoot(job: Job, pool: Pool, connection: HttpConnection): void {
    job.connection = connection;
    if (job.tally) this.#lateness.add(performance.now() - job.dueAt);
    connection.send(job.shot.bytes, (status) => {
      const isUsable = status !== undefined && !connection.isLast;
      if (isUsable) pool.idle.push(connection);
      const next = pool.next();
      if (next) this.#place(next, pool);
      this.#note(job, status);
      this.#onNote?.();
    });
  }

  #note(job: Job, status: number | undefined): void {
    if (job.isOver) return;
    job.isOver = true;
    const { shot, tally, moment } = job;
    const now = performance.now();
    if (tally && moment) {
      const tookMs = now - job.dueAt;
      if (status === undefined) {
        tally.broken++;
        this.all.broken++;
      } else {
        this.all.note(status, tookMs, this.#goodMs);
        if (tally.note(status, tookMs, this.#goodMs)) moment.good++;
      }
    }
    const next = shot.onAnswer?.(status);
    if (next) this.#begin(next, now);
  }

  /** Clients that have waited long enough give up, and hang up. */
  #expire(): void {
    const nowMs = performance.now();
    let kept = 0;
    while (kept < this.#running.length) {
      const job = this.#running[kept] as Job;
      if (!job.isOver && nowMs - job.dueAt < this.#timeoutMs) break;
      if (!job.isOver) {
        job.isOver = true;
        if (job.tally) {
          job.tally.timeouts++;
          this.all.timeouts++;
        }
        job.shot.onAnswer?.(undefined);
        job.connection?.destroy();
      }
      kept++;
    }
    if (kept > 0) this.#running.splice(0, kept);
  }

  async #end(): Promise<void> {
    while (this.#running.some((job) => !job.isOver)) {
      this.#expire();
      await sleep(5);
    }
    for (const pool of this.#pools.values()) for (const connection of [...pool.idle]) connection.destroy();
  }

  #report(seconds: number): LoadReport {
    return {
      seconds,
      all: this.all.toReport(),
      routes: Object.fromEntries([...this.#tallies].map(([name, tally]) => [name, tally.toReport()])),
      timeline: Array.from(this.#timeline, (moment) => moment ?? { sent: 0, good: 0 }),
      lateMs: this.#lateness.at(0.999),
    };
  }

  #tallyOf(name: string): Tally {
    const known = this.#tallies.get(name);
    if (known) return known;
    const tally = new Tally();
    this.#tallies.set(name, tally);
    return tally;
  }

  #poolOf(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known) return known;
    const pool = new Pool(origin);
    this.#pools.set(origin, pool);
    return pool;
  }
}
