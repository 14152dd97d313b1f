import assert from "node:assert/strict";
import { test } from "node:test";
import type { ManualClock } from "../base/index.ts";
import { createManualClock, error, isError, PlinthError, StartError } from "../base/index.ts";
import { createLogger } from "../telemetry/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { Component } from "./component.ts";
import { exitCodeOf } from "./exit-code.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { createLifecycle } from "./lifecycle.ts";

const setup = (components: readonly Component[], options: Partial<LifecycleOptions> = {}) => {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const log = createLogger({ destination, clock, level: "trace" });
  const lifecycle = createLifecycle({ components, clock, log, ...options });
  const messages = () => destination.records.map((record) => String(record.msg));
  return { clock, lifecycle, messages, records: () => destination.records };
};

/** Components that write down what happens to them. */
const recorded = (events: string[], clock?: () => ManualClock) => {
  return (name: string, needs: string[] = [], extra: Partial<Component> = {}): Component => ({
    name,
    needs,
    start: () => void events.push(`start ${name}`),
    drain: () => void events.push(`drain ${name}${clock ? ` ${clock().now()}` : ""}`),
    stop: () => void events.push(`stop ${name}`),
    ...extra,
  });
};

const runAll = async (clock: ManualClock, work: Promise<unknown>, ms = 60_000) => {
  const [result] = await Promise.all([work, clock.advance(ms)]);
  return result;
};

test("starts in the order of needs, stops in the reverse order", async () => {
  const events: string[] = [];
  const make = recorded(events);
  const { lifecycle, clock, messages } = setup(
    [make("gateway", ["catalog"]), make("catalog", ["db", "cache"]), make("db"), make("cache")],
    { drainDelayMs: 0 },
  );
  assert.equal(lifecycle.state, "created");
  await lifecycle.start();
  assert.equal(lifecycle.state, "ready");
  assert.equal(await runAll(clock, lifecycle.stop()), 0);
  assert.equal(lifecycle.state, "stopped");
  const at = (event: string) => events.indexOf(event);
  assert.ok(at("start db") < at("start catalog") && at("start cache") < at("start catalog"));
  assert.ok(at("start catalog") < at("start gateway"));
  assert.deepEqual(events.slice(4), [
    "drain gateway",
    "drain catalog",
    "drain cache",
    "drain db",
    "stop gateway",
    "stop catalog",
    "stop cache",
    "stop db",
  ]);
  assert.deepEqual(messages(), ["ready", "draining", "stopped"]);
  assert.deepEqual(
    lifecycle.components().map(({ name, state }) => `${name} ${state}`),
    ["db stopped", "cache stopped", "catalog stopped", "gateway stopped"],
  );
});

test("starts what is independent at the same time", async () => {
  const waiting = new Set<string>();
  let most = 0;
  const slow = (name: string): Component => ({
    name,
    async start() {
      waiting.add(name);
      most = Math.max(most, waiting.size);
      await new Promise((resolve) => setImmediate(resolve));
      waiting.delete(name);
    },
  });
  const { lifecycle } = setup([slow("a"), slow("b"), slow("c")]);
  await lifecycle.start();
  assert.equal(most, 3);
});

const wrong: [string, Component[], RegExp][] = [
  ["an unknown need", [{ name: "catalog", needs: ["db"] }], /component "catalog" needs "db", which nothing provides/],
  ["a name that comes twice", [{ name: "db" }, { name: "db" }], /two components are named "db"/],
  ["no name", [{ name: "" }], /has no name/],
  [
    "a circle",
    [
      { name: "x", needs: ["a"] },
      { name: "a", needs: ["b"] },
      { name: "b", needs: ["a"] },
    ],
    /in a circle: "a" needs "b" needs "a"/,
  ],
  ["a need of oneself", [{ name: "a", needs: ["a"] }], /in a circle: "a" needs "a"/],
];
for (const [name, components, message] of wrong) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => setup(components),
      (thrown) => thrown instanceof StartError && thrown.reason === "COMPONENTS_WRONG" && message.test(thrown.message),
    );
  });
}

test("refuses limits that are none", () => {
  for (const options of [{ graceMs: 10 }, { drainDelayMs: -1 }, { quietMs: Number.NaN }, { startTimeoutMs: 0 }]) {
    assert.throws(
      () => setup([], options),
      (thrown) => thrown instanceof StartError && thrown.reason === "LIFECYCLE_OPTION_WRONG",
    );
  }
});

test("a start that fails stops what was started and names the component", async () => {
  const events: string[] = [];
  const make = recorded(events);
  const broken = {
    start() {
      throw new Error("connection refused");
    },
  };
  const { lifecycle } = setup([make("db"), make("cache", [], broken), make("catalog", ["db", "cache"])]);
  await assert.rejects(
    lifecycle.start(),
    (thrown) =>
      isError(thrown, "COMPONENT_START_FAILED") &&
      thrown.message === 'Component "cache" did not start: connection refused' &&
      exitCodeOf(thrown) === 1,
  );
  assert.deepEqual(events, ["start db", "stop db"]);
  assert.equal(lifecycle.state, "stopped");
  assert.deepEqual(
    lifecycle.components().map(({ name, state }) => `${name} ${state}`),
    ["db stopped", "cache failed", "catalog waiting"],
  );
  assert.equal(await lifecycle.stop(), 0);
});

test("a wrong setting found at start keeps its own words, and is exit code 2", async () => {
  const { lifecycle } = setup([
    {
      name: "http",
      start() {
        throw new StartError("PORT_TAKEN", "http: port 1 is taken.");
      },
    },
  ]);
  await assert.rejects(
    lifecycle.start(),
    (thrown) => thrown instanceof StartError && thrown.reason === "PORT_TAKEN" && exitCodeOf(thrown) === 2,
  );
});

test("says what of a start took long, the slowest first", async () => {
  const made = setup([
    { name: "db", start: () => made.clock.sleep(800) },
    { name: "catalog", needs: ["db"], start: () => made.clock.sleep(49) },
    { name: "gateway", needs: ["catalog"], start: () => made.clock.sleep(1_500) },
  ]);
  await runAll(made.clock, made.lifecycle.start());
  const ready = made.records().find(({ msg }) => msg === "ready");
  assert.deepEqual(Object.entries(ready?.slowestMs ?? {}), [
    ["gateway", 1500],
    ["db", 800],
  ]);
});

test("of two that fail, one is thrown and the other is logged", async () => {
  const broken = (name: string): Component => ({
    name,
    start: () => Promise.reject(new Error(`${name} is broken`)),
  });
  const { lifecycle, records } = setup([broken("a"), broken("b")]);
  await assert.rejects(lifecycle.start(), /"a" did not start/);
  assert.deepEqual(
    records().map((record) => [record.component, record.msg]),
    [["b", "a component did not start either"]],
  );
});

test("a start that takes too long is given up; if it comes up later it is stopped", async () => {
  const events: string[] = [];
  let release = () => {};
  const { lifecycle, clock } = setup([
    {
      name: "slow",
      startTimeoutMs: 500,
      start: () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
      stop: () => void events.push("stop slow"),
    },
  ]);
  const started = lifecycle.start();
  const rejected = assert.rejects(started, (thrown) => isError(thrown, "COMPONENT_START_TIMEOUT"));
  await clock.advance(500);
  await rejected;
  assert.deepEqual(events, []);
  release();
  await clock.advance(0);
  assert.deepEqual(events, ["stop slow"]);
});

test("one that fails tells those that are still starting", async () => {
  let reason: unknown;
  const { lifecycle } = setup([
    {
      name: "slow",
      start: (signal) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener("abort", () => {
            reason = signal.reason;
            reject(signal.reason);
          });
        }),
    },
    {
      name: "broken",
      async start() {
        throw new Error("no");
      },
    },
  ]);
  await assert.rejects(lifecycle.start(), /"broken" did not start: no/);
  assert.ok(reason instanceof PlinthError);
});

test("a stop during the start interrupts it and undoes it", async () => {
  const events: string[] = [];
  const make = recorded(events);
  const { lifecycle, messages } = setup([
    make("db"),
    make("slow", ["db"], { start: () => new Promise(() => {}) }),
    make("never", ["slow"]),
  ]);
  const started = assert.rejects(lifecycle.start(), (thrown) => isError(thrown, "START_INTERRUPTED"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await lifecycle.stop(), 0);
  await started;
  assert.deepEqual(events, ["start db", "stop db"]);
  assert.equal(lifecycle.state, "stopped");
  assert.deepEqual(messages(), ["stopping before the start was through"]);
});

test("a stop of what was started that hangs does not hold up the error", async () => {
  const { lifecycle, clock, records } = setup([
    { name: "db", stop: () => new Promise(() => {}) },
    { name: "broken", needs: ["db"], start: () => Promise.reject(new Error("no")) },
  ]);
  const rejected = assert.rejects(lifecycle.start(), /"broken"/);
  await clock.advance(5000);
  await rejected;
  assert.deepEqual(records().at(-1)?.open, ["db"]);
});

test("start works once; a stop before it makes it impossible", async () => {
  const { lifecycle } = setup([]);
  assert.equal(lifecycle.start(), lifecycle.start());
  const other = setup([]).lifecycle;
  assert.equal(await other.stop(), 0);
  await assert.rejects(other.start(), (thrown) => isError(thrown, "START_INTERRUPTED"));
});

test("readiness says what is in the way, and asks each component", async () => {
  let answer: true | string = "the pool is empty";
  const { lifecycle, clock } = setup(
    [
      { name: "db", ready: () => answer },
      {
        name: "odd",
        ready() {
          if (answer !== true) throw new Error("cannot tell");
          return true;
        },
      },
    ],
    { drainDelayMs: 0 },
  );
  assert.deepEqual(lifecycle.readiness(), { ready: false, state: "created", reasons: ["the process is created"] });
  const started = lifecycle.start();
  assert.deepEqual(lifecycle.readiness(), {
    ready: false,
    state: "starting",
    reasons: ["db: waiting", "odd: waiting"],
  });
  await started;
  assert.deepEqual(lifecycle.readiness().reasons, ["db: the pool is empty", "odd: cannot tell"]);
  answer = true;
  assert.deepEqual(lifecycle.readiness(), { ready: true, state: "ready", reasons: [] });
  const stopped = lifecycle.stop();
  assert.deepEqual(lifecycle.readiness(), { ready: false, state: "draining", reasons: ["the process is draining"] });
  await runAll(clock, stopped);
});

test("readiness goes first; then it waits until no work has come for 2 s, and only then drains", async () => {
  const events: string[] = [];
  let clock: ManualClock;
  let lastWorkAt = 0;
  const make = recorded(events, () => clock);
  const set = setup([
    make("gateway", [], { quiesce: () => void events.push("quiesce gateway"), lastWorkAt: () => lastWorkAt }),
  ]);
  clock = set.clock;
  await set.lifecycle.start();
  await clock.advance(10_000);
  const stopped = set.lifecycle.stop();
  assert.equal(set.lifecycle.readiness().ready, false);
  await clock.advance(1500);
  lastWorkAt = clock.now();
  await clock.advance(1900);
  assert.deepEqual(events, ["start gateway", "quiesce gateway"]);
  await clock.advance(1000);
  assert.equal(events[2], "drain gateway 13500");
  assert.equal(await stopped, 0);
});

test("the quiet period ends after drainDelayMs even when work keeps coming", async () => {
  const events: string[] = [];
  let clock: ManualClock;
  const make = recorded(events, () => clock);
  const set = setup([make("gateway", [], { lastWorkAt: () => clock.now() })], { drainDelayMs: 5000 });
  clock = set.clock;
  await set.lifecycle.start();
  assert.equal(await runAll(clock, set.lifecycle.stop()), 0);
  assert.equal(events[1], "drain gateway 5000");
});

test("waits for what is under way, then aborts it, and says so", async () => {
  let reason: unknown;
  const { lifecycle, clock, records } = setup(
    [
      {
        name: "gateway",
        open: () => ["2 requests"],
        drain: (signal) =>
          new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => {
              reason = signal.reason;
              resolve();
            });
          }),
      },
    ],
    { drainDelayMs: 0, finishMs: 3000 },
  );
  await lifecycle.start();
  const stopped = lifecycle.stop();
  await clock.advance(2900);
  assert.equal(reason, undefined);
  await clock.advance(200);
  assert.equal(await stopped, 1);
  const told: unknown = reason;
  assert.ok(isError(told, "DRAIN_TIME_OVER") && told.retry === "safe");
  assert.deepEqual(records().find((record) => record.level === "warn")?.open, ["gateway (draining: 2 requests)"]);
});

test("a hard stop names what was still open", async () => {
  const { lifecycle, clock, records } = setup(
    [
      { name: "db", stop: () => new Promise(() => {}) },
      {
        name: "stuck",
        needs: ["db"],
        drain: () => new Promise(() => {}),
        open() {
          throw new Error("x");
        },
      },
    ],
    { graceMs: 10_000, drainDelayMs: 0 },
  );
  await lifecycle.start();
  const stopped = lifecycle.stop();
  await clock.advance(7900);
  assert.equal(lifecycle.state, "draining");
  await clock.advance(100);
  assert.equal(await stopped, 1);
  const hard = records().find((record) => String(record.msg).startsWith("hard stop"));
  assert.deepEqual(hard?.open, ["db (up)", "stuck (draining: it cannot tell)"]);
});

test("the hard stop comes in time though the quiet period would be longer than the whole grace", async () => {
  const { lifecycle, clock } = setup(
    [{ name: "busy", lastWorkAt: () => clock.now(), drain: () => new Promise(() => {}) }],
    {
      graceMs: 1000,
      drainDelayMs: 60_000,
    },
  );
  await lifecycle.start();
  const stopped = lifecycle.stop();
  await clock.advance(800);
  assert.equal(await stopped, 1);
});

test("one that fails to quiesce, drain or stop does not keep the others; the exit code is 1", async () => {
  const events: string[] = [];
  const make = recorded(events);
  const fail = () => {
    throw error("internal", "no");
  };
  const { lifecycle, clock, messages } = setup(
    [make("db"), make("odd", ["db"], { quiesce: fail, drain: fail, stop: fail })],
    { drainDelayMs: 0 },
  );
  await lifecycle.start();
  assert.equal(await runAll(clock, lifecycle.stop()), 1);
  assert.deepEqual(events, ["start db", "start odd", "drain db", "stop db"]);
  assert.deepEqual(messages().slice(2, 5), [
    "a component failed to become quiet",
    "a component failed to drain",
    "a component failed to stop",
  ]);
  assert.ok(lifecycle.components()[1]?.error instanceof PlinthError);
});

test("a component that makes the sequence itself fail ends it with exit code 1", async () => {
  const { lifecycle, clock, messages } = setup([
    {
      name: "odd",
      lastWorkAt() {
        throw new Error("no");
      },
    },
  ]);
  await lifecycle.start();
  assert.equal(await runAll(clock, lifecycle.stop()), 1);
  assert.ok(messages().includes("the shutdown failed"));
});
