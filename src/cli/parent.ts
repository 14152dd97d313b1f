import type { Addresses } from "../app/index.ts";

/**
 * What a process tells the one that started it, over the channel between them: that it is ready, and where. A supervisor
 * sets the variable, so that a process with another kind of parent says nothing.
 */
export interface ReadyMessage {
  readonly plinth: "ready";
  readonly addresses: Addresses;
}

export const parentVariable = "PLINTH_PARENT";

export function isReadyMessage(message: unknown): message is ReadyMessage {
  return typeof message === "object" && message !== null && "plinth" in message && message.plinth === "ready";
}

export function hasParent(): boolean {
  return process.env[parentVariable] === "1" && process.send !== undefined;
}

/** Tells the parent, and stops with it: an orphan would keep its ports from the next one. */
export function tellParent(addresses: Addresses): void {
  process.send?.({ plinth: "ready", addresses } satisfies ReadyMessage);
}

export function stopWithParent(): void {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  // To be told must not keep a process alive that is through.
  process.channel?.unref();
}
