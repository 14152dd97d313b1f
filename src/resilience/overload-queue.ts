import type { Level } from "./criticality.ts";
import { criticalities } from "./criticality.ts";

/** Somebody who waits to be let in. */
export interface Waiter {
  readonly level: Level;
  readonly since: number;
  /** The longest that it waits. */
  readonly waitMaxMs: number;
  /** Gone, or answered otherwise, while it waited. */
  readonly isOver: boolean;
  run(): void;
  refuse(): void;
}

/**
 * Who waits, by level: what matters more is let in first, within a level who came first; but the last one once the first
 * has waited for long, since by then there is more than can be served, and who came last is the likeliest to still be
 * there for the answer (Facebook, "Fail at Scale").
 */
export class OverloadQueue {
  size = 0;
  readonly #levels: Waiter[][] = criticalities.map(() => []);

  add(waiter: Waiter): void {
    this.#of(waiter.level).push(waiter);
    this.size++;
  }

  /** The level of who is next; -1 when nobody waits. */
  get nextLevel(): Level {
    for (let level = this.#levels.length - 1; level >= 0; level--) if (this.#of(level).length > 0) return level;
    return -1;
  }

  countOf(level: Level): number {
    return this.#of(level).length;
  }

  take(nowMs: number): Waiter | undefined {
    const level = this.nextLevel;
    if (level === -1) return undefined;
    const waiting = this.#of(level);
    const oldest = waiting[0] as Waiter;
    this.size--;
    return nowMs - oldest.since > lastFirstAfterMs ? waiting.pop() : waiting.shift();
  }

  /** Makes room for `level`: the oldest of those that matter least. Undefined when all matter more. */
  evict(level: Level): Waiter | undefined {
    for (let lower = 0; lower <= level; lower++) {
      const waiting = this.#of(lower);
      if (waiting.length === 0) continue;
      this.size--;
      return waiting.shift();
    }
    return undefined;
  }

  /** Takes out who has waited too long: not before `criticalMs`, and if it is sheddable, no later than `sheddableMs`. */
  expire(nowMs: number, { sheddableMs, criticalMs }: { sheddableMs: number; criticalMs: number }): Waiter[] {
    const expired: Waiter[] = [];
    for (const [level, waiting] of this.#levels.entries()) {
      const isSheddable = level < firstCritical;
      let kept = 0;
      for (const waiter of waiting) {
        const { waitMaxMs } = waiter;
        const limitMs = isSheddable ? Math.min(waitMaxMs, sheddableMs) : Math.max(waitMaxMs, criticalMs);
        if (waiter.isOver || nowMs - waiter.since >= limitMs) expired.push(waiter);
        else waiting[kept++] = waiter;
      }
      waiting.length = kept;
    }
    this.size -= expired.length;
    return expired;
  }

  #of(level: Level): Waiter[] {
    return this.#levels[level] as Waiter[];
  }
}

const lastFirstAfterMs = 20;
const firstCritical = criticalities.indexOf("critical");
