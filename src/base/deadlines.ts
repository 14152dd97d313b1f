import type { Clock } from "./clock.ts";

/**
 * Many deadlines on one timer. A request costs two links in a list instead of a timer of its own.
 *
 * An entry fires within one tick (20 ms) after its time, never before. Resolution is the price; deadlines are 50 ms
 * and more. The timer runs only while something waits, and does not keep the process alive.
 */
export interface Deadlines {
  /** Calls `entry.onDeadline()` once `clock.now()` has passed `atMs`, unless removed before. */
  add(entry: DeadlineEntry, atMs: number): void;
  remove(entry: DeadlineEntry): void;
}

/** Whatever waits for a deadline carries its own links. */
export interface DeadlineEntry {
  deadlineSlot: number;
  deadlinePrev: DeadlineEntry | undefined;
  deadlineNext: DeadlineEntry | undefined;
  deadlineAt: number;
  onDeadline(): void;
}

const tickMs = 20;
const slotCount = 512;

export function createDeadlines(clock: Clock): Deadlines {
  const slots: (DeadlineEntry | undefined)[] = new Array(slotCount).fill(undefined);
  let count = 0;
  let lastTick = 0;
  let stop: (() => void) | undefined;

  const unlink = (entry: DeadlineEntry): void => {
    if (entry.deadlinePrev) entry.deadlinePrev.deadlineNext = entry.deadlineNext;
    else slots[entry.deadlineSlot] = entry.deadlineNext;
    if (entry.deadlineNext) entry.deadlineNext.deadlinePrev = entry.deadlinePrev;
    entry.deadlinePrev = undefined;
    entry.deadlineNext = undefined;
    entry.deadlineSlot = -1;
    count--;
  };

  const sweep = (): void => {
    const nowMs = clock.now();
    const nowTick = Math.floor(nowMs / tickMs);
    // After a long pause every slot is due once; more turns would look at the same entries.
    const from = Math.max(lastTick, nowTick - slotCount);
    for (let tick = from; tick < nowTick; tick++) {
      let entry = slots[tick % slotCount];
      while (entry) {
        const next: DeadlineEntry | undefined = entry.deadlineNext;
        if (entry.deadlineAt <= nowMs) {
          unlink(entry);
          entry.onDeadline();
        }
        // An entry that onDeadline removed has lost its links: start the slot anew.
        entry = next && next.deadlineSlot === -1 ? slots[tick % slotCount] : next;
      }
    }
    lastTick = nowTick;
    if (count === 0) {
      stop?.();
      stop = undefined;
    }
  };

  return {
    add(entry, atMs) {
      const nowTick = Math.floor(clock.now() / tickMs);
      if (!stop) {
        lastTick = nowTick;
        stop = clock.every(tickMs, sweep);
      }
      const slot = Math.max(nowTick, Math.floor(atMs / tickMs)) % slotCount;
      entry.deadlineAt = atMs;
      entry.deadlineSlot = slot;
      entry.deadlinePrev = undefined;
      entry.deadlineNext = slots[slot];
      if (entry.deadlineNext) entry.deadlineNext.deadlinePrev = entry;
      slots[slot] = entry;
      count++;
    },
    remove(entry) {
      if (entry.deadlineSlot !== -1) unlink(entry);
    },
  };
}
