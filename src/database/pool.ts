import type { CallContext, Clock, PlinthError } from "../base/index.ts";
import { deadlineExceeded, error } from "../base/index.ts";
import type { DatabaseStats } from "./driver.ts";
import { databaseBusy } from "./errors.ts";

/**
 * A bounded pool of whatever an engine connects with. Fair: first come, first served, nobody overtakes the queue.
 *
 * A free resource that last served the same `tag` (SQL schema) is preferred, because it needs no `set search_path`.
 * Resources lying idle for `idleMs` are closed, and none is reused once it is `lifetimeMs` old, so that a moved server
 * is noticed; infinity switches either off. At `queueSizeMax` waiting callers, and after a caller's `timeoutMs`, the answer is `DATABASE_BUSY`.
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
  readonly reject: (reason: unknown) => void;
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

  /** Serves the head of the queue with what is free, or makes one if there is room. */
  const next = (): void => {
    if (closed) return void (used.size + making === 0 && drained?.());
    for (const waiter of waiting) {
      const entry = take(waiter.tag);
      if (!entry && count() >= size) return;
      waiting.delete(waiter);
      waiter.stop();
      if (entry) waiter.resolve(lend(entry, waiter.tag));
      else make(waiter.tag).then(waiter.resolve, waiter.reject);
    }
  };

  const make = async (tag: string): Promise<Lease<T>> => {
    making++;
    let resource: T;
    try {
      resource = await options.create(tag);
    } finally {
      making--;
      queueMicrotask(next);
    }
    const entry: Entry<T> = { resource, madeAt: clock.now(), tag, idleSince: 0 };
    if (closed) {
      destroy(entry);
      throw poolClosed(options.name);
    }
    return lend(entry, tag);
  };

  const wait = ({ tag, timeoutMs, context }: LeaseOptions): Promise<Lease<T>> => {
    const since = clock.now();
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown): void => {
        waiting.delete(waiter);
        waiter.stop();
        reject(reason);
      };
      const busy = (): void => fail(databaseBusy(options.name, clock.now() - since, waiting.size, used.size));
      const stopTimer = clock.after(timeoutMs, busy);
      const stopContext = context?.onCancel((reason) => fail(notStarted(reason)));
      const stop = (): void => {
        stopTimer();
        stopContext?.();
      };
      const waiter: Waiter<T> = { tag, resolve, reject, stop };
      waiting.add(waiter);
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
        if (count() < size) return make(lease.tag);
      }
      if (waiting.size >= queueSizeMax) throw databaseBusy(options.name, 0, waiting.size, used.size);
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
      for (const waiter of waiting) {
        waiter.stop();
        waiter.reject(poolClosed(options.name));
      }
      waiting.clear();
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
  return error("unavailable", "The database is closed.", {
    reason: "DATABASE_UNAVAILABLE",
    executed: "no",
    detail: { message: `${name}: the driver is closed, or was never opened.` },
  });
}

/** The reason of a cancelled call, for work that never began. */
export function notStarted(reason: PlinthError): PlinthError {
  if (reason.code === "deadline_exceeded") return deadlineExceeded("no");
  return error("cancelled", reason.message, { reason: reason.reason, executed: "no", cause: reason });
}
