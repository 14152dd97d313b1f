import type { CallContext, Clock, PlinthError } from "../base/index.ts";
import { deadlineExceeded, error } from "../base/index.ts";
import type { DatabaseStats } from "./driver.ts";
import { databaseBusy } from "./errors.ts";

/**
 * A bounded pool of whatever an engine connects with. Fair: first come, first served, nobody overtakes the queue.
 *
 * A free resource that last served the same `tag` (SQL schema) is preferred, because it needs no `set search_path`.
 * Resources lying idle for `idleMs` are closed, and none is reused once it is `lifetimeMs` old, so that a moved server
 * is noticed; infinity switches either off. At `queueSizeMax` waiting callers, and after a caller's `timeoutMs`, the answer is
 * `DATABASE_BUSY`; `DATABASE_UNAVAILABLE` where not all are taken, and the server lets in no more.
 *
 * A caller for whom a resource is being made takes whatever is free first. Where making one fails, the caller goes on
 * waiting for those that there are; only where there are none does it get the failure. So a server that is slow to let
 * anybody in costs those nothing who are in.
 */
export interface Pool<T> {
  readonly stats: DatabaseStats;
  acquire(options: LeaseOptions): Promise<Lease<T>>;
  /** Takes a resource out that broke while nobody used it. */
  remove(resource: T): void;
  /** Refuses new callers and those in the queue, waits at most `graceMs` for leases, then destroys all. */
  close(graceMs: number): Promise<void>;
}

export interface PoolOptions<T> {
  /** Names the pool in errors. */
  readonly name: string;
  readonly size: number;
  readonly queueSizeMax: number;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly clock: Clock;
  /** Makes one that is ready for users of `tag`. */
  create(tag: string): Promise<T>;
  destroy(resource: T): Promise<void>;
}

export interface LeaseOptions {
  readonly tag: string;
  readonly timeoutMs: number;
  readonly context?: CallContext | undefined;
}

export interface Lease<T> {
  readonly resource: T;
  /** The tag of its last user: its own when it is new. */
  readonly lastTag: string;
  release(broken: boolean): void;
}

interface Entry<T> {
  readonly resource: T;
  readonly madeAt: number;
  tag: string;
  idleSince: number;
}

interface Waiter<T> {
  readonly tag: string;
  readonly resolve: (lease: Lease<T>) => void;
  readonly fail: (reason: unknown) => void;
  readonly stop: () => void;
}

export function createPool<T>(options: PoolOptions<T>): Pool<T> {
  const { clock, size, queueSizeMax, idleMs, lifetimeMs } = options;
  const idle: Entry<T>[] = [];
  const waiting = new Set<Waiter<T>>();
  const used = new Set<Entry<T>>();
  let making = 0;
  let closed = false;
  let drained: (() => void) | undefined;
  let stopSweep: (() => void) | undefined;

  const count = (): number => idle.length + used.size + making;
  const destroy = (entry: Entry<T>): void => void options.destroy(entry.resource).catch(() => {});

  const lend = (entry: Entry<T>, tag: string): Lease<T> => {
    const lastTag = entry.tag;
    entry.tag = tag;
    used.add(entry);
    let released = false;
    return {
      resource: entry.resource,
      lastTag,
      release(broken) {
        if (released) return;
        released = true;
        used.delete(entry);
        if (broken || closed || clock.now() - entry.madeAt > lifetimeMs) destroy(entry);
        else put(entry);
        next();
      },
    };
  };

  const put = (entry: Entry<T>): void => {
    entry.idleSince = clock.now();
    idle.push(entry);
    const sweepMs = Math.min(idleMs, lifetimeMs) / 2;
    if (sweepMs !== Number.POSITIVE_INFINITY) stopSweep ??= clock.every(Math.max(sweepMs, 1), sweep);
  };

  const sweep = (): void => {
    const now = clock.now();
    for (let i = idle.length - 1; i >= 0; i--) {
      const entry = idle[i] as Entry<T>;
      if (now - entry.idleSince > idleMs || now - entry.madeAt > lifetimeMs) destroy(idle.splice(i, 1)[0] as Entry<T>);
    }
    if (idle.length > 0) return;
    stopSweep?.();
    stopSweep = undefined;
  };

  /** The idle one that fits best: same tag, else the one used last. */
  const take = (tag: string): Entry<T> | undefined => {
    const now = clock.now();
    for (let i = idle.length - 1; i >= 0; i--) {
      if (now - (idle[i] as Entry<T>).madeAt > lifetimeMs) destroy(idle.splice(i, 1)[0] as Entry<T>);
    }
    const same = idle.findLastIndex((entry) => entry.tag === tag);
    return same >= 0 ? idle.splice(same, 1)[0] : idle.pop();
  };

  /** Serves the head of the queue with what is free, and makes more for the rest if there is room. */
  const next = (): void => {
    if (closed) return void (used.size + making === 0 && drained?.());
    for (const waiter of waiting) {
      const entry = take(waiter.tag);
      if (!entry) break;
      waiting.delete(waiter);
      waiter.stop();
      waiter.resolve(lend(entry, waiter.tag));
    }
    for (const { tag } of [...waiting].slice(making)) if (count() < size) void make(tag);
  };

  const make = async (tag: string): Promise<void> => {
    making++;
    try {
      const entry: Entry<T> = { resource: await options.create(tag), madeAt: clock.now(), tag, idleSince: 0 };
      making--;
      if (closed) destroy(entry);
      else put(entry);
    } catch (thrown) {
      making--;
      // Nobody tries again for those who wait until something moves: a server that refuses would be asked without end.
      if (idle.length + used.size > 0 && !closed) return;
      const [first] = waiting;
      first?.fail(thrown);
    }
    next();
  };

  const wait = ({ tag, timeoutMs, context }: LeaseOptions): Promise<Lease<T>> => {
    const since = clock.now();
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown): void => {
        waiting.delete(waiter);
        waiter.stop();
        reject(reason);
      };
      const late = (): void => {
        const isBusy = used.size >= size;
        const waitedMs = clock.now() - since;
        fail(isBusy ? databaseBusy(options.name, waitedMs, waiting.size, used.size) : slow(options.name, waitedMs));
      };
      const stopTimer = clock.after(timeoutMs, late);
      const stopContext = context?.onCancel((reason) => fail(notStarted(reason)));
      const stop = (): void => {
        stopTimer();
        stopContext?.();
      };
      const waiter: Waiter<T> = { tag, resolve, fail, stop };
      waiting.add(waiter);
      if (making < waiting.size && count() < size) void make(tag);
    });
  };

  return {
    stats: {
      get open() {
        return count();
      },
      get idle() {
        return idle.length;
      },
      get waiting() {
        return waiting.size;
      },
      size,
      queueSizeMax,
    },
    async acquire(lease) {
      if (closed) throw poolClosed(options.name);
      if (lease.context?.cancelled) throw notStarted(lease.context.cancelled);
      if (waiting.size === 0) {
        const entry = take(lease.tag);
        if (entry) return lend(entry, lease.tag);
      }
      // Those for whom one is being made do not count: they wait for the server, not for each other.
      if (count() >= size && waiting.size - making >= queueSizeMax)
        throw databaseBusy(options.name, 0, waiting.size, used.size);
      return wait(lease);
    },
    remove(resource) {
      const at = idle.findIndex((entry) => entry.resource === resource);
      if (at >= 0) destroy(idle.splice(at, 1)[0] as Entry<T>);
    },
    async close(graceMs) {
      if (closed) return;
      closed = true;
      stopSweep?.();
      for (const waiter of [...waiting]) waiter.fail(poolClosed(options.name));
      await Promise.all(idle.splice(0).map((entry) => options.destroy(entry.resource).catch(() => {})));
      if (used.size + making === 0) return;
      await new Promise<void>((resolve) => {
        const stop = clock.after(graceMs, resolve);
        drained = () => {
          stop();
          resolve();
        };
      });
      await Promise.all([...used].map((entry) => options.destroy(entry.resource).catch(() => {})));
    },
  };
}

function poolClosed(name: string): Error {
  return unavailable("The database is closed.", `${name}: the driver is closed, or was never opened.`);
}

/** Not all are taken: it was the server that did not let us in. */
function slow(name: string, waitedMs: number): Error {
  return unavailable("The database cannot be reached.", `${name}: no connection within ${Math.round(waitedMs)} ms.`);
}

function unavailable(text: string, message: string): Error {
  return error("unavailable", text, { reason: "DATABASE_UNAVAILABLE", executed: "no", detail: { message } });
}

/** The reason of a cancelled call, for work that never began. */
export function notStarted(reason: PlinthError): PlinthError {
  if (reason.code === "deadline_exceeded") return deadlineExceeded("no");
  return error("cancelled", reason.message, { reason: reason.reason, executed: "no", cause: reason });
}
