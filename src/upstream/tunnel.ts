import type { Duplex } from "node:stream";
import type { Clock } from "../base/index.ts";

export interface TunnelLimits {
  readonly idleMs: number;
  readonly ageMs: number;
  /** 0: as fast as it goes. */
  readonly bytesPerSecond: number;
}

export interface TunnelEnd {
  /** Why it was cut; undefined when one of the two sides ended it. */
  readonly reason: string | undefined;
  readonly bytesFromClient: number;
  readonly bytesFromTarget: number;
}

/** How long a side that does not read keeps its connection, once nothing new comes. */
const lingerMs = 5000;

/** Ends a connection whose last bytes are on their way, also when nobody takes them. */
export function limitLinger(side: Duplex, clock: Clock): void {
  if (!side.destroyed)
    side.once(
      "close",
      clock.after(lingerMs, () => side.destroy()),
    );
}

/** Two connections that are one from now on. What it says goes by unread; a slow side holds the other back. */
export class Tunnel {
  readonly #client: Duplex;
  readonly #target: Duplex;
  readonly #clock: Clock;
  readonly #limits: TunnelLimits;
  readonly #onEnd: (end: TunnelEnd) => void;
  readonly #fromClient: Direction;
  readonly #fromTarget: Direction;
  #cancelIdle = (): void => {};
  #cancelAge = (): void => {};
  #isOver = false;

  constructor(client: Duplex, target: Duplex, clock: Clock, limits: TunnelLimits, onEnd: (end: TunnelEnd) => void) {
    this.#client = client;
    this.#target = target;
    this.#clock = clock;
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#fromClient = new Direction(client, target, clock, limits.bytesPerSecond);
    this.#fromTarget = new Direction(target, client, clock, limits.bytesPerSecond);
    for (const side of [client, target]) {
      side.on("error", () => this.cut(undefined));
      side.once("close", () => this.cut(undefined));
    }
    this.#watch(limits.idleMs);
    this.#cancelAge = clock.after(limits.ageMs, () => this.cut("TUNNEL_TOO_OLD"));
  }

  cut(reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelIdle();
    this.#cancelAge();
    this.#fromClient.stop();
    this.#fromTarget.stop();
    // What one side has said to its end is still sent.
    for (const side of [this.#client, this.#target]) {
      if (reason === undefined && !side.writableNeedDrain) {
        limitLinger(side, this.#clock);
        side.end(() => side.destroy());
      } else side.destroy();
    }
    this.#onEnd({ reason, bytesFromClient: this.#fromClient.bytes, bytesFromTarget: this.#fromTarget.bytes });
  }

  /** Looks again when the last byte could be long enough ago: no timer is moved for each byte. */
  #watch(inMs: number): void {
    this.#cancelIdle = this.#clock.after(inMs, () => {
      const lastMs = Math.max(this.#fromClient.lastAtMs, this.#fromTarget.lastAtMs);
      const leftMs = lastMs + this.#limits.idleMs - this.#clock.now();
      if (leftMs <= 0) this.cut("TUNNEL_IDLE");
      else this.#watch(leftMs);
    });
  }
}

/** What flows from one side to the other. */
class Direction {
  bytes = 0;
  lastAtMs: number;
  readonly #from: Duplex;
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  /** Bytes that may flow at once; below zero there is a wait. */
  #credit: number;
  #creditAtMs: number;
  #cancelWait = (): void => {};
  #isHeld = false;
  #isStopped = false;

  constructor(from: Duplex, to: Duplex, clock: Clock, bytesPerSecond: number) {
    this.#from = from;
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.lastAtMs = clock.now();
    this.#credit = bytesPerSecond;
    this.#creditAtMs = this.lastAtMs;
    from.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.lastAtMs = clock.now();
      const isTaken = to.write(chunk);
      if (bytesPerSecond > 0) this.#pay(chunk.length);
      if (!isTaken) from.pause();
    });
    to.on("drain", () => {
      if (!this.#isHeld && !this.#isStopped) from.resume();
    });
    from.once("end", () => to.end());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWait();
  }

  #pay(bytes: number): void {
    const nowMs = this.#clock.now();
    const earned = ((nowMs - this.#creditAtMs) / 1000) * this.#bytesPerSecond;
    this.#creditAtMs = nowMs;
    this.#credit = Math.min(this.#bytesPerSecond, this.#credit + earned) - bytes;
    if (this.#credit >= 0 || this.#isHeld) return;
    this.#isHeld = true;
    this.#from.pause();
    this.#cancelWait = this.#clock.after((-this.#credit / this.#bytesPerSecond) * 1000, () => {
      this.#isHeld = false;
      this.#from.resume();
    });
  }
}
