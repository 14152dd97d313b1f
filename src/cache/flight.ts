import type { CallContext, Clock } from "../base/index.ts";
import type { CacheFound } from "./driver.ts";
import { holdMs, leaseMs } from "./driver.ts";

/** How a missing entry is made, and what may be given in its place. */
export interface Filling {
  readonly key: string;
  readonly tags: readonly string[];
  /** How long beyond its time an entry is given while it is loaded anew, and how long when that fails. */
  readonly staleMs: number;
  readonly staleIfErrorMs: number;
  /** The text of the loaded value. Undefined: nothing to remember. */
  load(source: LoadSource): Promise<Loaded | undefined>;
  /** How long the text may be kept. Undefined: it must not be stored. */
  ttlMs(loaded: Loaded): number | undefined;
}

export interface Loaded {
  readonly text: string;
  readonly version: number | undefined;
  /** It says that there is none. */
  readonly isNone: boolean;
}

export interface LoadSource {
  /**
   * What is loaded was changed less than a minute ago, or that is not known: a replica may not have the change yet. Load
   * from the primary, or what is stale would be cached.
   */
  readonly primary: boolean;
}

export interface Answer {
  readonly text: string | undefined;
  /** Present when it was in the cache, and fresh. */
  readonly hit: CacheFound | undefined;
}

/** A lookup, and the load that comes of it, which others may share. */
export class Flight {
  readonly filling: Filling;
  /** The call whose `load` runs. Its own cancellation may break the load, which is then not the fault of the others. */
  readonly leader: CallContext | undefined;
  /** Under which its result is stored. */
  fence: string | undefined;
  /** A removal concerned it: its result may be given to who waits, and must not be stored. */
  isDetached = false;
  answer: Promise<Answer> = nothing;

  readonly #overdue: Promise<undefined>;
  #callOff: () => void = () => {};
  #stopTimer = () => {};
  #asking: Promise<boolean> | undefined;
  #askingNext: Promise<boolean> | undefined;

  constructor(filling: Filling, leader: CallContext | undefined) {
    this.filling = filling;
    this.leader = leader;
    this.#overdue = new Promise((resolve) => {
      this.#callOff = () => resolve(undefined);
    });
  }

  /** The answer, for who shares it. Undefined: it takes longer than `holdMs`, and may never come. */
  get shared(): Promise<Answer | undefined> {
    return Promise.race([this.answer, this.#overdue]);
  }

  /** The load begins. `onHeld`: nobody waits for it any more; `onVoid`: its result cannot be stored any more. */
  begin(clock: Clock, onHeld: () => void, onVoid: () => void): void {
    this.#stopTimer = clock.after(holdMs, () => {
      this.#stopTimer = clock.after(leaseMs - holdMs, onVoid);
      onHeld();
      this.#callOff();
    });
  }

  end(): void {
    this.#stopTimer();
  }

  /** What `ask` says, asked after this was called: all who come while one question is under way share the next. */
  asked(ask: () => Promise<boolean>): Promise<boolean> {
    this.#askingNext ??= this.#ask(ask);
    return this.#askingNext;
  }

  async #ask(ask: () => Promise<boolean>): Promise<boolean> {
    await this.#asking;
    this.#asking = this.#askingNext;
    this.#askingNext = undefined;
    return ask();
  }
}

const nothing: Promise<Answer> = Promise.resolve({ text: undefined, hit: undefined });
