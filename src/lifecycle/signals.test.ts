import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createLogger } from "../telemetry/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { Component } from "./component.ts";
import { createLifecycle } from "./lifecycle.ts";

const setup = async (components: readonly Component[] = []) => {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const log = createLogger({ destination, clock });
  const exits: number[] = [];
  const lifecycle = createLifecycle({ components, clock, log, drainDelayMs: 0, exit: (code) => void exits.push(code) });
  const source = new EventEmitter();
  const takeBack = lifecycle.handleSignals(source);
  await lifecycle.start();
  return { clock, exits, source, lifecycle, takeBack, records: () => destination.records };
};

const stuck: Component = { name: "stuck", drain: () => new Promise(() => {}), open: () => ["1 request"] };

for (const signal of ["SIGTERM", "SIGINT"]) {
  test(`${signal} stops the process with exit code 0`, async () => {
    const { source, exits, clock, lifecycle, records } = await setup();
    source.emit(signal);
    assert.equal(lifecycle.state, "draining");
    await clock.advance(1000);
    assert.deepEqual(exits, [0]);
    assert.equal(records().find((record) => record.msg === "draining")?.reason, signal);
  });
}

test("a hard stop is exit code 1", async () => {
  const { source, exits, clock } = await setup([stuck]);
  source.emit("SIGTERM");
  await clock.advance(27_900);
  assert.deepEqual(exits, []);
  await clock.advance(200);
  assert.deepEqual(exits, [1]);
});

test("a second signal stops at once and names what was open", async () => {
  const { source, exits, clock, records } = await setup([stuck]);
  source.emit("SIGTERM");
  await clock.advance(10);
  source.emit("SIGTERM");
  assert.deepEqual(exits, [1]);
  assert.deepEqual(records().at(-1)?.open, ["stuck (draining: 1 request)"]);
  source.emit("SIGTERM");
  await clock.advance(60_000);
  assert.deepEqual(exits, [1]);
});

test("Ctrl-C that a package manager passes on counts once", async () => {
  const { source, exits, clock } = await setup([stuck]);
  source.emit("SIGINT");
  await clock.advance(100);
  source.emit("SIGINT");
  assert.deepEqual(exits, []);
  await clock.advance(200);
  source.emit("SIGINT");
  assert.deepEqual(exits, [1]);
});

test("an uncaught exception is logged with its cause, drains within 5 s, and is exit code 1", async () => {
  const { source, exits, clock, records } = await setup();
  source.emit("uncaughtException", new Error("outer", { cause: new Error("inner") }));
  await clock.advance(1000);
  assert.deepEqual(exits, [1]);
  const fatal = records().find((record) => record.level === "fatal") as { err?: { cause?: { message?: string } } };
  assert.equal(fatal.err?.cause?.message, "inner");
});

test("an unhandled rejection does the same, also when it is no error, and also when the drain hangs", async () => {
  const { source, exits, clock, records } = await setup([stuck]);
  source.emit("unhandledRejection", "just text");
  await clock.advance(3999);
  assert.deepEqual(exits, []);
  await clock.advance(1001);
  assert.deepEqual(exits, [1]);
  assert.match(String(records().find((record) => record.level === "fatal")?.msg), /unhandled rejection/);
});

test("further crashes while it stops are logged, up to a number, and do not change the end", async () => {
  const { source, exits, clock, records } = await setup();
  for (let i = 0; i < 50; i++) source.emit("uncaughtException", new Error(String(i)));
  await clock.advance(5000);
  assert.deepEqual(exits, [1]);
  assert.equal(records().filter((record) => record.level === "fatal").length, 20);
});

test("a crash during an orderly stop makes it exit code 1, within 5 s", async () => {
  const { source, exits, clock } = await setup([stuck]);
  source.emit("SIGTERM");
  await clock.advance(1000);
  source.emit("unhandledRejection", new Error("late"));
  await clock.advance(5000);
  assert.deepEqual(exits, [1]);
});

test("taking the handlers back leaves no listener", async () => {
  const { source, takeBack } = await setup();
  takeBack();
  assert.deepEqual(source.eventNames(), []);
});
