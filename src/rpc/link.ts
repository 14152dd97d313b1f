import type { PlinthError } from "../base/index.ts";
import type { Address } from "./address.ts";
import type { Channel } from "./channel.ts";
import type { DialOptions } from "./dial.ts";
import { dial } from "./dial.ts";
import { clientClosed } from "./errors.ts";
import type { RpcLog } from "./log.ts";

export type LinkState = "idle" | "connecting" | "ready" | "waiting" | "closed";

export interface LinkEvents {
  onReady(): void;
  /** An attempt failed, or a ready connection was lost or is to be left. */
  onDown(): void;
  /** The server of what was our connection asks to be left (`channel.leave`). */
  onLeave(channel: Channel): void;
  /** A connection ended that was ready once. */
  onEnd(channel: Channel): void;
}

type GiveUp = (reason: PlinthError) => void;

/**
 * Keeps one connection to one address. After a loss it tries again at once with a little jitter, then with full jitter
 * over a ceiling that doubles from 50 ms to 2 s, for as long as the client lives; when the client's last connection goes,
 * at once again, for the process behind this address may have come back meanwhile. A server that refuses our secret or
 * version is asked again at the ceiling: it may be in the middle of a deployment.
 *
 * A connection that has grown old is replaced, the new one first, so that instances added behind the same name get their
 * share.
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
  /** Connections that are not ours to use: those we are leaving, and one that is to replace ours. */
  readonly #others = new Set<GiveUp>();
  #attempt = 0;
  /** The attempt under way is one that nobody waits for. */
  #isAhead = false;
  /** Why there is no connection, as the log has it already. */
  #toldReason: string | undefined = undefined;
  #giveUp: GiveUp | undefined = undefined;
  #cancelTimer: () => void = () => {};

  constructor(address: Address, options: DialOptions, events: LinkEvents, log: RpcLog | undefined) {
    this.address = address;
    this.#options = options;
    this.#events = events;
    this.#log = log;
  }

  open(): void {
    this.#isAhead = false;
    if (this.state === "idle") this.#connect();
  }

  /** One attempt, before anybody wants it. Where nobody is there yet, it is as if nothing had been tried. */
  openAhead(): void {
    if (this.state !== "idle") return;
    this.#isAhead = true;
    this.#connect();
  }

  /** Nothing else is connected: does not wait out a long pause. One attempt; if it fails, the pauses are as before. */
  hurry(): void {
    if (this.state !== "waiting" || this.failure?.retry === "never") return;
    this.#connectWithin(this.#options.limits.backoffMsMin);
  }

  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#cancelTimer();
    this.#giveUp?.(clientClosed("maybe"));
    for (const giveUp of [...this.#others]) giveUp(clientClosed("maybe"));
  }

  #connect(): void {
    this.state = "connecting";
    this.#giveUp = this.#dial((channel, serverName) => this.#use(channel, serverName));
  }

  #dial(onReady: (channel: Channel, serverName: string) => void): GiveUp {
    let own: Channel | undefined;
    const giveUp = dial(this.#options, this.address, {
      onReady: (channel, serverName) => {
        own = channel;
        onReady(channel, serverName);
      },
      onLeave: (channel) => this.#leave(giveUp, channel),
      onClose: (reason) => {
        this.#others.delete(giveUp);
        if (own) this.#events.onEnd(own);
        if (this.#giveUp === giveUp && this.state !== "closed") this.#down(reason);
      },
    });
    return giveUp;
  }

  #use(channel: Channel, serverName: string): void {
    this.state = "ready";
    this.#isAhead = false;
    this.#attempt = 0;
    this.failure = undefined;
    this.#toldReason = undefined;
    this.channel = channel;
    this.#log?.("info", "rpc: connected", { address: this.address.text, peer: serverName });
    this.#renewLater();
    this.#events.onReady();
  }

  /** The server asked us to leave: its connection lives on until its calls are done, and we look for another. */
  #leave(giveUp: GiveUp, channel: Channel): void {
    if (this.#giveUp !== giveUp || this.state === "closed") {
      channel.leave();
      return;
    }
    this.#others.add(giveUp);
    this.#log?.("info", "rpc: sent away", { address: this.address.text });
    this.#retry(() => this.#events.onLeave(channel));
  }

  #down(reason: PlinthError): void {
    if (this.#isAhead) {
      this.#isAhead = false;
      this.#giveUp = undefined;
      this.state = "idle";
      return;
    }
    this.failure = reason;
    this.#tell(reason);
    this.#retry();
  }

  /** One line when it goes, and one when it stays away for another reason: not one for each attempt. */
  #tell({ reason, detail, cause }: PlinthError): void {
    if (this.#toldReason === reason) return;
    this.#toldReason = reason;
    const why = detail ?? (cause instanceof Error ? cause.message : undefined);
    this.#log?.("warn", "rpc: not connected", { address: this.address.text, reason, detail: why });
  }

  /** `tell`: before it is said that there is no connection here. */
  #retry(tell?: () => void): void {
    const { limits } = this.#options;
    this.#giveUp = undefined;
    this.channel = undefined;
    this.state = "waiting";
    const doubled = limits.backoffMsMin * 2 ** Math.min(this.#attempt, 20);
    const isRefused = this.failure?.retry === "never";
    const ceilingMs = isRefused ? limits.backoffMsMax : Math.min(limits.backoffMsMax, doubled);
    this.#attempt++;
    this.#connectWithin(ceilingMs);
    tell?.();
    this.#events.onDown();
  }

  #connectWithin(ceilingMs: number): void {
    const { clock, random } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(random.next() * ceilingMs, () => this.#connect());
  }

  #renewLater(): void {
    const { clock, random, limits } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(limits.connectionMs * (0.8 + 0.4 * random.next()), () => this.#renew());
  }

  #renew(): void {
    const old = this.channel;
    const giveUpOld = this.#giveUp;
    if (!old || !giveUpOld) return;
    const giveUp = this.#dial((channel, serverName) => {
      if (this.channel !== old) {
        giveUp(clientClosed("no"));
        return;
      }
      this.#others.delete(giveUp);
      this.#others.add(giveUpOld);
      this.#giveUp = giveUp;
      this.#use(channel, serverName);
      old.leave();
    });
    this.#others.add(giveUp);
    // Should it come to nothing, we stay with what we have and try again.
    this.#renewLater();
  }
}
