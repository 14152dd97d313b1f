import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "./clock.ts";
import { createManualClock } from "./clock.ts";
import { createIds, newId } from "./ids.ts";
import { createSeededRandom, type Random } from "./random.ts";

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function clockAt(readings: { ms: number }): Clock {
  return { ...createManualClock(), wallNow: () => readings.ms };
}

function msOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

test("an id is a UUID of version 7 and variant 10, with the time in front", () => {
  const make = createIds(clockAt({ ms: 1_700_000_000_123 }), createSeededRandom(1));
  for (let i = 0; i < 100; i++) assert.match(make(), shape);
  assert.equal(msOf(make()), 1_700_000_000_123);
});

test("ids of one millisecond sort by the order they were made, and beyond the counter they borrow the next one", () => {
  const make = createIds(clockAt({ ms: 1_700_000_000_000 }), createSeededRandom(2));
  const ids = Array.from({ length: 10_000 }, make);
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(msOf(ids.at(-1) as string) > 1_700_000_000_000);
});

test("ids go on sorting when the clock steps back by up to 10 s, and after it has caught up", () => {
  const readings = { ms: 1_700_000_020_000 };
  const make = createIds(clockAt(readings), createSeededRandom(3));
  const ids = [make()];
  for (const ms of [1_700_000_019_999, 1_700_000_010_000, 1_700_000_020_000, 1_700_000_020_001]) {
    readings.ms = ms;
    ids.push(make());
  }
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(msOf(ids.at(-1) as string), 1_700_000_020_001);
});

test("refuses to make an id when the clock went back by more than 10 s, and recovers with it", () => {
  const readings = { ms: 1_700_000_020_000 };
  const make = createIds(clockAt(readings), createSeededRandom(4));
  make();
  readings.ms = 1_700_000_009_999;
  assert.throws(make, { code: "internal", reason: "CLOCK_REGRESSION" });
  readings.ms = 1_700_000_020_001;
  assert.match(make(), shape);
});

test("every bit that is not fixed can be one and can be zero", () => {
  const constant = (word: number): Random => ({ uint32: () => word, next: () => 0, fill: (bytes) => bytes });
  const clock = clockAt({ ms: 2 ** 48 - 1 });
  assert.equal(createIds(clock, constant(0xffff_ffff))(), "ffffffff-ffff-77ff-bfff-ffffffffffff");
  assert.equal(createIds(clock, constant(0))(), "ffffffff-ffff-7000-8000-000000000000");
});

test("the machine's own ids are unique and sorted", () => {
  const ids = Array.from({ length: 1000 }, newId);
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, 1000);
});
