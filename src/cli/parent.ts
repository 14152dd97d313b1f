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

export function tellParent(addresses: Addresses): void {
  process.send?.({ plinth: "ready", addresses } satisfies ReadyMessage);
}

/** Stops when the parent is gone: an orphan would keep its ports from the next one. */
export function stopWithParent(): void {
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
}

/**
 * A process in waiting has loaded everything but the app: when its turn comes, it only has that left. `plinth dev` keeps
 * one beside the app that runs, and sends word.
 */
export const standbyVariable = "PLINTH_STANDBY";

export const goMessage = { plinth: "go" } as const;

export function isStandby(): boolean {
  return hasParent() && process.env[standbyVariable] === "1";
}

/** Resolves with the parent's word, whatever it says: there is one only. Ends the process when the parent is gone. */
export function untilGo(): Promise<void> {
  return new Promise((resolve) => {
    const onGone = (): void => process.exit(0);
    process.once("disconnect", onGone);
    process.once("message", () => {
      process.off("disconnect", onGone);
      resolve();
    });
  });
}
