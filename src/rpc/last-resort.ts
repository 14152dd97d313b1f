import type { Clock } from "../base/index.ts";
import type { Channel } from "./channel.ts";

export interface LastResortOptions {
  readonly clock: Clock;
  /** For so long at most. */
  readonly leaveMs: number;
  /** The last one is gone. */
  onEmpty(): void;
}

/**
 * Connections to servers that asked to be left while there was no other: calls still go there until there is one, for a
 * server answers what comes until it is left. So a replacement that takes its time to be connected to costs no call.
 */
export class LastResort {
  readonly #options: LastResortOptions;
  readonly #timers = new Map<Channel, () => void>();

  constructor(options: LastResortOptions) {
    this.#options = options;
  }

  get channels(): readonly Channel[] {
    return [...this.#timers.keys()];
  }

  add(channel: Channel): void {
    const { clock, leaveMs } = this.#options;
    this.#timers.set(
      channel,
      clock.after(leaveMs, () => this.leave(channel)),
    );
  }

  leave(channel: Channel): void {
    this.forget(channel);
    channel.leave();
  }

  leaveAll(): void {
    for (const channel of this.channels) this.leave(channel);
  }

  /** It is closed, or to be left. */
  forget(channel: Channel): void {
    const cancel = this.#timers.get(channel);
    if (!cancel) return;
    cancel();
    this.#timers.delete(channel);
    if (this.#timers.size === 0) this.#options.onEmpty();
  }
}
