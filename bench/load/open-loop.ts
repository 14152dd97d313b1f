import { setTimeout as sleep } from "node:timers/promises";
import { Histogram } from "./histogram.ts";
import { type HttpConnection, openConnection } from "./http-connection.ts";

/**
 * An open model: requests come at a rate, whatever becomes of those before. A server that is slow gets no fewer of them, as
 * it would from a closed loop, and durations count from the moment when a request was meant to be sent, also when there was
 * no connection for it (no coordinated omission).
 *
 * HTTP/1.1 over plain sockets, kept connections, one request at a time on each. It takes about 15 µs of a core for a
 * request: give it one of its own (`runLoadApart`). What it could not send in time is told (`lateMs`).
 */
export interface LoadPlan {
  /** `"http://127.0.0.1:8080"`. */
  readonly url: string;
  readonly routes: readonly LoadRoute[];
  /**
   * Requests for each second, of all routes together. `"closed"`: no rate, but the next request on each connection when
   * the last is answered, which tells how much a server can do.
   */
  readonly rate: number | "closed";
  readonly seconds: number;
  /** Equal pauses, or as if each client decided by itself. Default "poisson". */
  readonly arrivals?: "constant" | "poisson";
  /** Default 512. Above, requests wait here, and that counts. */
  readonly connectionsMax?: number;
  /**
   * So many connections are opened, and used once, before the run: clients of a service that has been there for a while.
   * Default 0: all come as they are needed, of which a Node server takes in one for each turn of its loop.
   */
  readonly warmConnections?: number;
  /** When a client gives up. Default 5,000. */
  readonly timeoutMs?: number;
  /** Later than this is no use to a client: it does not count as good. Default: as long as it waits. */
  readonly goodMs?: number;
}

export interface LoadRoute {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Its share, beside those of the others. Default 1. */
  readonly weight?: number;
}

export interface LoadReport {
  readonly seconds: number;
  readonly routes: Readonly<Record<string, RouteReport>>;
  /** By the second in which requests were meant to be sent. */
  readonly timeline: readonly Moment[];
  /** How late requests left, at worst but for one in a thousand: what the numbers are blurred by. */
  readonly lateMs: number;
}

export interface RouteReport {
  readonly sent: number;
  /** 2xx within `goodMs`. */
  readonly good: number;
  /** 2xx later than that. */
  readonly late: number;
  /** Answers by status, 2xx among them. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly timeouts: number;
  /** Connections that broke before the answer. */
  readonly broken: number;
  /** Of 2xx. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Of everything else that was answered: how fast is a refusal? */
  readonly refusedP99Ms: number;
}

export interface Moment {
  sent: number;
  good: number;
}

export async function runLoad(plan: LoadPlan): Promise<LoadReport> {
  const { rate, seconds, arrivals = "poisson" } = plan;
  const load = new Load(plan);
  await load.warmUp(plan.warmConnections ?? 0);
  const startedAt = performance.now();
  if (rate === "closed") {
    await load.runClosed(startedAt, seconds);
    return load.report(seconds);
  }
  let dueMs = 0;
  while (dueMs < seconds * 1000) {
    const nowMs = performance.now() - startedAt;
    while (dueMs <= nowMs && dueMs < seconds * 1000) {
      load.begin(startedAt + dueMs, Math.floor(dueMs / 1000));
      dueMs += (arrivals === "constant" ? 1 : -Math.log(1 - Math.random())) * (1000 / rate);
    }
    load.expire();
    await sleep(1);
  }
  await load.end();
  return load.report(seconds);
}

interface Job {
  readonly route: Tally;
  readonly dueAt: number;
  readonly moment: Moment;
  connection: HttpConnection | undefined;
  isOver: boolean;
}

class Tally {
  readonly name: string;
  readonly bytes: Buffer;
  readonly served = new Histogram();
  readonly refused = new Histogram();
  readonly statuses: Record<string, number> = {};
  sent = 0;
  good = 0;
  late = 0;
  timeouts = 0;
  broken = 0;

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.bytes = bytes;
  }

  toReport(): RouteReport {
    const { sent, good, late, statuses, timeouts, broken, served, refused } = this;
    const times = { p50Ms: served.at(0.5), p99Ms: served.at(0.99), p999Ms: served.at(0.999) };
    return { sent, good, late, statuses, timeouts, broken, ...times, refusedP99Ms: refused.at(0.99) };
  }
}

class Load {
  readonly #tallies: Tally[];
  readonly #weights: number[];
  readonly #port: number;
  readonly #host: string;
  readonly #connectionsMax: number;
  readonly #timeoutMs: number;
  readonly #goodMs: number;
  readonly #lateness = new Histogram();
  readonly #timeline: Moment[] = [];
  readonly #idle: HttpConnection[] = [];
  #connectionCount = 0;
  /** In the order in which they are due; those in front may be over. */
  readonly #running: Job[] = [];
  readonly #unsent: Job[] = [];
  #unsentAt = 0;
  #onNote: (() => void) | undefined = undefined;

  constructor({ url, routes, connectionsMax = 512, timeoutMs = 5_000, goodMs = timeoutMs }: LoadPlan) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
    this.#connectionsMax = connectionsMax;
    this.#timeoutMs = timeoutMs;
    this.#goodMs = goodMs;
    this.#tallies = routes.map((route) => new Tally(route.name, bytesOf(route, `${hostname}:${port}`)));
    let sum = 0;
    this.#weights = routes.map(({ weight = 1 }) => {
      sum += weight;
      return sum;
    });
  }

  async warmUp(count: number): Promise<void> {
    const route = this.#tallies[0] as Tally;
    for (let i = 0; i < count; i++) {
      const connection = this.#open();
      await new Promise<void>((resolve) => connection.send(route.bytes, () => resolve()));
      this.#idle.push(connection);
    }
  }

  async runClosed(startedAt: number, seconds: number): Promise<void> {
    const next = (): void => {
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs < seconds * 1000) this.begin(startedAt + elapsedMs, Math.floor(elapsedMs / 1000));
    };
    this.#onNote = next;
    for (let i = 0; i < this.#connectionsMax; i++) next();
    await sleep(seconds * 1000);
    await this.end();
  }

  begin(dueAt: number, second: number): void {
    const at = Math.random() * (this.#weights.at(-1) as number);
    const route = this.#tallies[this.#weights.findIndex((upTo) => at < upTo)] as Tally;
    this.#timeline[second] ??= { sent: 0, good: 0 };
    const moment = this.#timeline[second];
    route.sent++;
    moment.sent++;
    const job: Job = { route, dueAt, moment, connection: undefined, isOver: false };
    this.#running.push(job);
    const connection = this.#takeConnection();
    if (connection) this.#send(job, connection);
    else this.#unsent.push(job);
  }

  /** Clients that have waited long enough give up, and hang up. */
  expire(): void {
    const nowMs = performance.now();
    let kept = 0;
    while (kept < this.#running.length) {
      const job = this.#running[kept] as Job;
      if (!job.isOver && nowMs - job.dueAt < this.#timeoutMs) break;
      if (!job.isOver) {
        job.isOver = true;
        job.route.timeouts++;
        job.connection?.destroy();
      }
      kept++;
    }
    if (kept > 0) this.#running.splice(0, kept);
  }

  async end(): Promise<void> {
    while (this.#running.some((job) => !job.isOver)) {
      this.expire();
      await sleep(5);
    }
    for (const connection of this.#idle) connection.destroy();
  }

  report(seconds: number): LoadReport {
    return {
      seconds,
      routes: Object.fromEntries(this.#tallies.map((tally) => [tally.name, tally.toReport()])),
      timeline: Array.from(this.#timeline, (moment) => moment ?? { sent: 0, good: 0 }),
      lateMs: this.#lateness.at(0.999),
    };
  }

  #takeConnection(): HttpConnection | undefined {
    const idle = this.#idle.pop();
    return idle || this.#connectionCount >= this.#connectionsMax ? idle : this.#open();
  }

  #open(): HttpConnection {
    this.#connectionCount++;
    const connection = openConnection(this.#port, this.#host, () => {
      this.#connectionCount--;
      const at = this.#idle.indexOf(connection);
      if (at !== -1) this.#idle.splice(at, 1);
    });
    return connection;
  }

  #send(job: Job, connection: HttpConnection): void {
    job.connection = connection;
    this.#lateness.add(performance.now() - job.dueAt);
    connection.send(job.route.bytes, (status) => {
      this.#note(job, status);
      const next = status === undefined ? undefined : this.#nextUnsent();
      if (next) this.#send(next, connection);
      else if (status !== undefined) this.#idle.push(connection);
      this.#onNote?.();
    });
  }

  #note(job: Job, status: number | undefined): void {
    if (job.isOver) return;
    job.isOver = true;
    const { route, moment } = job;
    const tookMs = performance.now() - job.dueAt;
    if (status === undefined) {
      route.broken++;
      return;
    }
    route.statuses[status] = (route.statuses[status] ?? 0) + 1;
    const isServed = status >= 200 && status < 300;
    (isServed ? route.served : route.refused).add(tookMs);
    if (!isServed) return;
    if (tookMs > this.#goodMs) route.late++;
    else {
      route.good++;
      moment.good++;
    }
  }

  #nextUnsent(): Job | undefined {
    for (;;) {
      const job = this.#unsent[this.#unsentAt];
      if (!job) {
        this.#unsent.length = 0;
        this.#unsentAt = 0;
        return undefined;
      }
      this.#unsentAt++;
      if (!job.isOver) return job;
    }
  }
}

function bytesOf({ method = "GET", path, headers = {}, body }: LoadRoute, host: string): Buffer {
  const fields = { host, ...headers, ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`);
}
