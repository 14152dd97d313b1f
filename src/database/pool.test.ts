import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock, isError } from "../base/index.ts";
import type { Lease, PoolOptions } from "./pool.ts";
import { createPool } from "./pool.ts";
import { createSharing } from "./sharing.ts";

interface Thing {
  readonly id: number;
  destroyed: boolean;
}

function setUp(changes: Partial<PoolOptions<Thing>> = {}) {
  const clock = createManualClock();
  const made: Thing[] = [];
  const pool = createPool<Thing>({
    name: "test",
    size: 2,
    queueSizeMax: 3,
    idleMs: 1_000,
    lifetimeMs: 10_000,
    clock,
    create: async () => {
      const thing = { id: made.length, destroyed: false };
      made.push(thing);
      return thing;
    },
    destroy: async (thing) => {
      thing.destroyed = true;
    },
    ...changes,
  });
  const acquire = (tag = "a", timeoutMs = 100): Promise<Lease<Thing>> => pool.acquire({ tag, timeoutMs });
  return { clock, made, pool, acquire };
}

describe("the pool", () => {
  test("serves the queue in order of asking, whatever is free first", async () => {
    const { acquire, pool } = setUp();
    const [one, two] = [await acquire(), await acquire()];
    const order: string[] = [];
    const third = acquire("b").finally(() => order.push("third"));
    const fourth = acquire("a").finally(() => order.push("fourth"));
    assert.deepEqual([pool.stats.open, pool.stats.idle, pool.stats.waiting], [2, 0, 2]);
    two.release(false);
    two.release(false);
    one.release(false);
    assert.equal((await third).lastTag, "a");
    assert.equal((await fourth).resource, one.resource);
    assert.deepEqual(order, ["third", "fourth"]);
  });

  test("prefers what last served the same tag", async () => {
    const { acquire } = setUp();
    const [a, b] = [await acquire("a"), await acquire("b")];
    a.release(false);
    b.release(false);
    const again = await acquire("a");
    assert.equal(again.resource, a.resource);
    assert.equal(again.lastTag, "a");
  });

  test("tells callers when the queue is full and when their time is over", async () => {
    const { acquire, clock } = setUp();
    const held = [await acquire(), await acquire()];
    const waiting = [acquire(), acquire(), acquire()];
    await assert.rejects(acquire(), (thrown) => isError(thrown, "DATABASE_BUSY"));
    const settled = Promise.allSettled(waiting);
    await clock.advance(100);
    for (const { status } of await settled) assert.equal(status, "rejected");
    for (const lease of held) lease.release(false);
    (await acquire()).release(false);
  });

  test("closes what lies idle, and what is old, and replaces what broke", async () => {
    const { acquire, made, pool, clock } = setUp();
    (await acquire()).release(false);
    await clock.advance(1_600);
    assert.deepEqual([made[0]?.destroyed, pool.stats.open], [true, 0]);
    (await acquire()).release(true);
    assert.equal(made[1]?.destroyed, true);
    const old = await acquire();
    await clock.advance(10_001);
    old.release(false);
    assert.equal(made[2]?.destroyed, true);
    const idle = await acquire();
    idle.release(false);
    pool.remove(idle.resource);
    pool.remove(idle.resource);
    assert.deepEqual([made[3]?.destroyed, pool.stats.open], [true, 0]);
  });

  test("passes a failure to make one to who asked, and goes on with the next", async () => {
    let fails = 1;
    const { acquire } = setUp({
      size: 1,
      create: async () => {
        if (fails-- > 0) throw new Error("no server");
        return { id: 9, destroyed: false };
      },
    });
    const [first, second] = [acquire(), acquire()];
    await assert.rejects(first, /no server/);
    assert.equal((await second).resource.id, 9);
  });

  test("a caller for whom one is being made takes what is free first", async () => {
    let finish = (_: Thing): void => {};
    let makes = 0;
    const slow = () =>
      new Promise<Thing>((resolve) => {
        finish = resolve;
      });
    const { acquire, pool } = setUp({
      create: async (_tag) => (makes++ === 0 ? { id: 0, destroyed: false } : slow()),
    });
    const first = await acquire();
    const second = acquire();
    first.release(false);
    assert.equal((await second).resource.id, 0);
    assert.deepEqual([makes, pool.stats.open], [2, 2]);
    finish({ id: 1, destroyed: false });
    assert.equal((await acquire()).resource.id, 1);
  });

  test("a failure to make one more leaves callers to those that there are, and is not repeated without end", async () => {
    let makes = 0;
    const { acquire, clock } = setUp({
      create: async () => {
        if (makes++ > 0) throw new Error("no server");
        return { id: 0, destroyed: false };
      },
    });
    const held = await acquire();
    const waiting = acquire();
    await clock.advance(50);
    assert.equal(makes, 2);
    held.release(false);
    const lease = await waiting;
    assert.equal(lease.resource.id, 0);
    const last = acquire();
    await clock.advance(1);
    lease.release(true);
    await assert.rejects(last, /no server/, "there are none any more");
    assert.equal(makes, 4);
  });

  test("waiting in vain for the server is told apart from waiting for each other", async () => {
    const { acquire, clock } = setUp({ create: () => new Promise(() => {}) });
    const late = assert.rejects(acquire(), (thrown) => {
      assert.ok(isError(thrown, "DATABASE_UNAVAILABLE"));
      assert.deepEqual([thrown.executed, thrown.detail], ["no", { message: "test: no connection within 100 ms." }]);
      return true;
    });
    await clock.advance(100);
    await late;
  });

  test("refuses callers when it closes, and waits for leases as long as it was told", async () => {
    const { acquire, pool, clock, made } = setUp();
    const [returned, kept] = [await acquire(), await acquire()];
    const waiting = acquire();
    const closing = pool.close(500);
    await assert.rejects(waiting, (thrown) => isError(thrown, "DATABASE_UNAVAILABLE"));
    await assert.rejects(acquire(), (thrown) => isError(thrown, "DATABASE_UNAVAILABLE"));
    returned.release(false);
    await clock.advance(499);
    assert.equal(made[1]?.destroyed, false);
    await clock.advance(1);
    await closing;
    assert.deepEqual(
      made.map(({ destroyed }) => destroyed),
      [true, true],
    );
    kept.release(false);
    await pool.close(0);
    const quick = setUp();
    const lease = await quick.acquire();
    const done = quick.pool.close(1_000_000);
    lease.release(false);
    await done;
  });

  test("throws away what was made while it closed", async () => {
    let finish = (_: Thing): void => {};
    const { acquire, pool } = setUp({
      create: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const late = acquire();
    const thing = { id: 1, destroyed: false };
    const closing = pool.close(1_000_000);
    finish(thing);
    await assert.rejects(late, (thrown) => isError(thrown, "DATABASE_UNAVAILABLE"));
    await closing;
    assert.equal(thing.destroyed, true);
  });
});

describe("sharing", () => {
  test("makes one for all, ends it with the last, and makes a new one after that or after a failure", async () => {
    const sharing = createSharing<number>();
    let made = 0;
    const ended: number[] = [];
    const start = async (): Promise<number> => ++made;
    const stop = async (resource: number): Promise<void> => void ended.push(resource);
    assert.deepEqual(
      await Promise.all([sharing.open("x", start), sharing.open("x", start), sharing.open("y", start)]),
      [1, 1, 2],
    );
    await sharing.close("x", stop);
    assert.deepEqual(ended, []);
    const closing = sharing.close("x", stop);
    assert.equal(await sharing.open("x", start), 3);
    await closing;
    assert.deepEqual(ended, [1]);
    await sharing.close("nobody", stop);
    await assert.rejects(
      sharing.open("z", () => Promise.reject(new Error("no"))),
      /no/,
    );
    assert.equal(await sharing.open("z", start), 4);
    await assert.rejects(
      sharing.close("z", () => Promise.reject(new Error("stuck"))),
      /stuck/,
    );
  });
});
