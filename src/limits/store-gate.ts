import type { Clock } from "../base/index.ts";

/**
 * Leaves a store alone that does not answer: after three failures in a row it is not asked for half a second, then by one
 * request at a time until one is answered. So of a store that is down nobody waits for more than a moment: at most three
 * requests after each other, and one in each half second, wait for the time limit.
 */
export interface StoreGate {
  /** Whether the store may be asked now. Who is let through must tell how it went. */
  enter(): boolean;
  succeeded(): void;
  failed(): void;
  readonly isShut: boolean;
}

const failuresMax = 3;
const shutMs = 500;

export function createStoreGate(clock: Clock, onChange: (isShut: boolean) => void): StoreGate {
  let failures = 0;
  let isShut = false;
  let nextProbeAt = 0;
  return {
    get isShut() {
      return isShut;
    },
    enter() {
      if (!isShut) return true;
      const nowMs = clock.now();
      if (nowMs < nextProbeAt) return false;
      nextProbeAt = nowMs + shutMs;
      return true;
    },
    succeeded() {
      failures = 0;
      if (!isShut) return;
      isShut = false;
      onChange(false);
    },
    failed() {
      if (++failures < failuresMax) return;
      nextProbeAt = clock.now() + shutMs;
      if (isShut) return;
      isShut = true;
      onChange(true);
    },
  };
}
