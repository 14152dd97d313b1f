import { assert, throwLater } from "./assert.ts";
import type { Clock } from "./clock.ts";

/**
 * Many deadlines on one timer. A request costs two links in a list instead of a timer of its own.
 *
 * An entry fires within one tick (20 ms) after its time, never before. Resolution is the price; deadlines are 50 ms
 * and more. The timer runs only while something waits, and does not keep the process alive.
 *
 * A wheel of 512 slots: a deadline further away than 10 s is looked at once in each turn until it is due.
 */
export interface Deadlines {
  /** Calls `entry.onDeadline()` once `clock.now()` has reached `atMs`, unless removed before. Adding again moves it. */
  add(entry: DeadlineEntry, atMs: number): void;
  remove(entry: DeadlineEntry): void;
}

/** Whatever waits for a deadline carries its own links. The slot begins at -1: nowhere. */
export interface DeadlineEntry {
  deadlineSlot: number;
  deadlinePrev: DeadlineEntry | undefined;
  deadlineNext: DeadlineEntry | undefined;
  deadlineAt: number;
  onDeadline(): void;
}

const tickMs = 20;
const slotCount = 512;
const nowhere = -1;
/** Off its list and about to fire in this turn, unless somebody removes it first. */
const due = -2;

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
    entry.deadlineSlot = nowhere;
    count--;
  };

  const remove = (entry: DeadlineEntry): void => {
    if (entry.deadlineSlot >= 0) unlink(entry);
    else entry.deadlineSlot = nowhere;
  };

  /** Takes what is due off the slots since the last sweep, the current one included, which the next will see again. */
  const takeDue = (): DeadlineEntry[] => {
    const nowMs = clock.now();
    const nowTick = Math.floor(nowMs / tickMs);
    const taken: DeadlineEntry[] = [];
    // After a long pause every slot is due once; more turns would look at the same entries.
    for (let tick = Math.max(lastTick, nowTick - slotCount + 1); tick <= nowTick; tick++) {
      let entry = slots[tick % slotCount];
      while (entry) {
        const next: DeadlineEntry | undefined = entry.deadlineNext;
        if (entry.deadlineAt <= nowMs) {
          unlink(entry);
          entry.deadlineSlot = due;
          taken.push(entry);
        }
        entry = next;
      }
    }
    lastTick = nowTick;
    return taken;
  };

  const sweep = (): void => {
    // Two steps, because a deadline that fires may add and remove others, also those beside it.
    for (const entry of takeDue()) {
      if (entry.deadlineSlot !== due) continue;
      entry.deadlineSlot = nowhere;
      try {
        entry.onDeadline();
      } catch (thrown) {
        throwLater(thrown);
      }
    }
    if (count === 0) {
      stop?.();
      stop = undefined;
    }
  };

  const add = (entry: DeadlineEntry, atMs: number): void => {
    assert(!Number.isNaN(atMs), "a deadline is a number");
    remove(entry);
    if (atMs === Number.POSITIVE_INFINITY) return;
    if (!stop) {
      lastTick = Math.floor(clock.now() / tickMs);
      stop = clock.every(tickMs, sweep);
    }
    // The next sweep begins with the slot of the last one: what is over already is found there.
    const slot = Math.max(lastTick, Math.floor(atMs / tickMs)) % slotCount;
    entry.deadlineAt = atMs;
    entry.deadlineSlot = slot;
    entry.deadlinePrev = undefined;
    entry.deadlineNext = slots[slot];
    if (entry.deadlineNext) entry.deadlineNext.deadlinePrev = entry;
    slots[slot] = entry;
    count++;
  };

  return { add, remove };
}
