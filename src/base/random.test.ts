import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom, type Random, systemRandom } from "./random.ts";

function stays(random: Random): void {
  for (let i = 0; i < 5000; i++) {
    const next = random.next();
    assert.ok(next >= 0 && next < 1);
    const word = random.uint32();
    assert.ok(Number.isInteger(word) && word >= 0 && word < 2 ** 32);
  }
}

test("numbers stay within what is promised, also past the end of the pool", () => {
  stays(systemRandom);
  stays(createSeededRandom(1));
});

test("the system's bytes differ each time and fill the array that was given", () => {
  const bytes = new Uint8Array(32);
  assert.equal(systemRandom.fill(bytes), bytes);
  assert.notDeepEqual(bytes, systemRandom.fill(new Uint8Array(32)));
});

test("the system's pool never gives the same words twice", () => {
  const words = new Set(Array.from({ length: 10_000 }, () => systemRandom.uint32()));
  assert.ok(words.size > 9990);
});

test("one seed gives one sequence, another seed another", () => {
  const draw = (seed: number) => {
    const random = createSeededRandom(seed);
    return [random.uint32(), random.next(), ...random.fill(new Uint8Array(4))];
  };
  assert.deepEqual(draw(42), draw(42));
  assert.notDeepEqual(draw(42), draw(43));
});

test("the seeded numbers are spread evenly", () => {
  const random = createSeededRandom(7);
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const tenth = Math.floor(random.next() * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  assert.ok(tenths.every((count) => count > 850 && count < 1150));
});
