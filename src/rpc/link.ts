import type { PlinthError } from "../base/index.ts";
import type { Address } from "./address.ts";
import type { Channel } from "./channel.ts";
import type { DialOptions } from "./dial.ts";
import { dial } from "./dial.ts";
import { clientClosed } from "./errors.ts";
import type { RpcLog } from "./log.ts";

export type LinkState = "idle" | "connecting" | "ready" | "waiting" | "closed";

export interface LinkEvents {
  onReady(channel: Channel): void;
  /** An attempt failed, or a ready connection was lost or is to be left. */
  onDown(): void;
}

/**
 * Keeps one connection to one address. After a loss it tries again at once with a little jitter, then with full jitter
 * over a ceiling that doubles from 50 ms to 2 s, for as long as the client lives. A server that refuses our secret or
 * version is asked again at the ceiling: it may be in the middle of a deployment.
 */
export class Link {
  readonly address: Address;
  state: LinkState = "idle";
  /** Why the last attempt failed, until one succeeds. */
  failure: PlinthError | undefined = undefined;
  channel: Channel | undefined = undefined;
  readonly #options: DialOptions;
  readonly #events: LinkEvents;
  readonly #log: RpcLog | undefined;
  readonly #leaving = new Set<(reason: PlinthError) => void>();
  #attempt = 0;
  #giveUp: ((reason: PlinthError) => void) | undefined = undefined;
  #cancelTimer: () => void = () => {};

  constructor(address: Address, options: DialOptions, events: LinkEvents, log: RpcLog | undefined) {
    this.address = address;
    this.#options = options;
    this.#events = events;
    this.#log = log;
  }

  open(): void {
    if (this.state === "idle") this.#connect();
  }

  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#cancelTimer();
    this.#giveUp?.(clientClosed("maybe"));
    for (const giveUp of [...this.#leaving]) giveUp(clientClosed("maybe"));
  }

  /** The server asked us to leave: its connection lives on until its calls are done, and we look for another. */
  #leave(giveUp: (reason: PlinthError) => void): void {
    if (this.#giveUp !== giveUp || this.state === "closed") return;
    this.#leaving.add(giveUp);
    this.#log?.("info", "rpc: sent away", { address: this.address.text });
    this.#retry();
  }

  #connect(): void {
    this.state = "connecting";
    const giveUp = dial(this.#options, this.address, {
      onReady: (channel, serverName) => {
        this.state = "ready";
        this.#attempt = 0;
        this.failure = undefined;
        this.channel = channel;
        this.#log?.("info", "rpc: connected", { address: this.address.text, peer: serverName });
        this.#events.onReady(channel);
      },
      onLeave: () => this.#leave(giveUp),
      onClose: (reason) => {
        const isCurrent = this.#giveUp === giveUp;
        this.#leaving.delete(giveUp);
        if (!isCurrent || this.state === "closed") return;
        this.failure = reason;
        this.#log?.("warn", "rpc: not connected", {
          address: this.address.text,
          reason: reason.reason,
          detail: reason.detail ?? (reason.cause instanceof Error ? reason.cause.message : undefined),
        });
        this.#retry();
      },
    });
    this.#giveUp = giveUp;
  }

  #retry(): void {
    const { clock, random, limits } = this.#options;
    this.#giveUp = undefined;
    this.channel = undefined;
    this.state = "waiting";
    const doubled = limits.backoffMsMin * 2 ** Math.min(this.#attempt, 20);
    const isRefused = this.failure?.retry === "never";
    const ceilingMs = isRefused ? limits.backoffMsMax : Math.min(limits.backoffMsMax, doubled);
    this.#attempt++;
    this.#cancelTimer = clock.after(random.next() * ceilingMs, () => this.#connect());
    this.#events.onDown();
  }
}
