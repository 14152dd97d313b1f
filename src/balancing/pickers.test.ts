import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createSeededRandom } from "../base/index.ts";
import { createLeastRequest } from "./least-request.ts";
import { Member } from "./member.ts";
import { createP2c } from "./p2c.ts";
import { PeakEwma } from "./peak-ewma.ts";
import type { Picker } from "./picker.ts";
import { createRendezvous } from "./rendezvous.ts";
import { createRoundRobin } from "./round-robin.ts";
import { createWeighted } from "./weighted.ts";

function membersOf(weights: readonly number[]): Member<number>[] {
  return weights.map((weight, i) => new Member({ name: `10.0.0.${i}:8080`, weight, value: i }));
}

function tally(picker: Picker, members: readonly Member<number>[], times: number, key?: (i: number) => string) {
  const counts = members.map(() => 0);
  for (let i = 0; i < times; i++) {
    const { value } = picker(members, 0, key?.(i));
    counts[value] = (counts[value] as number) + 1;
  }
  return counts;
}

const weightLists = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 8 });

function isShared(counts: readonly number[], weights: readonly number[], slack: number): void {
  const [calls, total] = [counts.reduce((a, b) => a + b, 0), weights.reduce((a, b) => a + b, 0)];
  for (const [i, count] of counts.entries()) {
    const wanted = (calls * (weights[i] as number)) / total;
    assert.ok(Math.abs(count - wanted) <= slack * calls, `${count} instead of ${wanted} of ${calls}: ${weights}`);
  }
}

describe("round robin", () => {
  test("gives each the same, to the request", () => {
    const members = membersOf([1, 5, 1]);
    assert.deepEqual(tally(createRoundRobin(createSeededRandom(3)), members, 300), [100, 100, 100]);
  });
  test("does not begin with the same one in each process", () => {
    const members = membersOf([1, 1, 1, 1, 1]);
    const firsts = Array.from({ length: 40 }, (_, i) => createRoundRobin(createSeededRandom(i))(members, 0, undefined));
    assert.equal(new Set(firsts).size, 5);
  });
});

describe("weighted", () => {
  test("gives each exactly its part in each round, evenly mixed", () => {
    const picker = createWeighted();
    const members = membersOf([5, 1, 1]);
    const order = Array.from({ length: 7 }, () => "abc"[picker(members, 0, undefined).value]).join("");
    assert.equal(order, "aabacaa");
    fc.assert(
      fc.property(weightLists, (weights) => {
        const total = weights.reduce((a, b) => a + b, 0);
        assert.deepEqual(
          tally(createWeighted(), membersOf(weights), total * 3),
          weights.map((weight) => weight * 3),
        );
      }),
      { numRuns: 50 },
    );
  });
});

for (const [name, create] of [
  ["least request", createLeastRequest],
  ["p2c", createP2c],
  ["hash without a key", createRendezvous],
] as const) {
  test(`${name}: without load each gets its part by weight`, () => {
    fc.assert(
      fc.property(weightLists, fc.integer(), (weights, seed) => {
        isShared(tally(create(createSeededRandom(seed)), membersOf(weights), 6000), weights, 0.03);
      }),
      { numRuns: 20 },
    );
  });
}

describe("least request", () => {
  test("keeps the load even where answers take long", () => {
    const members = membersOf([1, 1, 1, 1]);
    const picker = createLeastRequest(createSeededRandom(1));
    for (let i = 0; i < 4000; i++) picker(members, 0, undefined).inFlight++;
    const loads = members.map(({ inFlight }) => inFlight);
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 12, loads.join());
  });
  test("loads in proportion to weights", () => {
    const members = membersOf([1, 3]);
    const picker = createLeastRequest(createSeededRandom(1));
    for (let i = 0; i < 4000; i++) picker(members, 0, undefined).inFlight++;
    isShared(
      members.map(({ inFlight }) => inFlight),
      [1, 3],
      0.01,
    );
  });
});

describe("p2c", () => {
  test("a member ten times slower gets less than one in twenty requests", () => {
    const members = membersOf([1, 1, 1]);
    const picker = createP2c(createSeededRandom(5));
    const slow = members[2] as Member<number>;
    // One request each 4 ms; answers after 10 ms, of the slow one after 100 ms.
    const running: { member: Member<number>; endMs: number; beganMs: number }[] = [];
    let slowCount = 0;
    for (let nowMs = 0; nowMs < 60_000; nowMs += 4) {
      for (const each of running.filter(({ endMs }) => endMs <= nowMs)) {
        running.splice(running.indexOf(each), 1);
        each.member.inFlight--;
        each.member.latency.observe(each.endMs - each.beganMs, nowMs);
      }
      const member = picker(members, nowMs, undefined);
      member.inFlight++;
      if (member === slow) slowCount++;
      running.push({ member, beganMs: nowMs, endMs: nowMs + (member === slow ? 100 : 10) });
    }
    assert.ok(slowCount / 15_000 < 0.05, `${slowCount} of 15,000`);
    assert.ok(slowCount > 1, "it is asked again from time to time");
  });

  test("asks one of which nothing is known once, not with all", () => {
    const members = membersOf([1, 1]);
    const [known, unknown] = members as [Member<number>, Member<number>];
    known.latency.observe(20, 0);
    const picker = createP2c(createSeededRandom(5));
    let asked = 0;
    for (let i = 0; i < 20; i++) {
      const member = picker(members, 0, undefined);
      member.inFlight++;
      if (member === unknown) asked++;
    }
    assert.equal(asked, 1);
    assert.equal(picker([unknown], 0, undefined), unknown);
  });
});

describe("peak EWMA", () => {
  test("rises at once, falls slowly, and falls when nothing is asked", () => {
    const ewma = new PeakEwma();
    ewma.observe(10, 0);
    ewma.observe(500, 100);
    assert.equal(ewma.at(100), 500);
    ewma.observe(10, 200);
    assert.ok(ewma.at(200) > 450);
    assert.ok(ewma.at(10_200) < 190 && ewma.at(10_200) > 170);
    assert.ok(ewma.at(60_000) < 2);
  });
});

describe("hash", () => {
  const keys = Array.from({ length: 4000 }, (_, i) => `customer-${i}`);
  const homes = (members: readonly Member<number>[]) => {
    const picker = createRendezvous(createSeededRandom(1));
    return new Map(keys.map((key) => [key, picker(members, 0, key).name]));
  };

  test("sends a key to the same member in each process, whatever the order", () => {
    const members = membersOf([1, 1, 1, 1, 1]);
    assert.deepEqual(homes(members), homes([...members].reverse()));
  });

  test("spreads keys by weight", () => {
    fc.assert(
      fc.property(weightLists, (weights) => {
        const counts = tally(createRendezvous(createSeededRandom(1)), membersOf(weights), 4000, (i) => `k${i}`);
        isShared(counts, weights, 0.035);
      }),
      { numRuns: 30 },
    );
  });

  test("moves only the keys of a member that left, and for one that came only its part", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 20 }), fc.nat(), (count, which) => {
        const members = membersOf(Array.from({ length: count }, () => 1));
        const gone = members[which % count] as Member<number>;
        const before = homes(members);
        const after = homes(members.filter((each) => each !== gone));
        let moved = 0;
        for (const key of keys) {
          if (before.get(key) === after.get(key)) continue;
          moved++;
          assert.equal(before.get(key), gone.name, "a key moved whose home had stayed");
        }
        assert.ok(moved / keys.length < 1 / count + 0.05, `${moved} keys moved`);
      }),
      { numRuns: 20 },
    );
  });

  test("bounds the load: nobody has more than a quarter above its fair part, also when all want one key", () => {
    fc.assert(
      fc.property(weightLists, fc.integer({ min: 1, max: 50 }), (weights, keyCount) => {
        const members = membersOf(weights);
        const picker = createRendezvous(createSeededRandom(1));
        const total = weights.reduce((a, b) => a + b, 0);
        for (let i = 1; i <= 500; i++) {
          const member = picker(members, 0, `k${i % keyCount}`);
          member.inFlight++;
          const most = Math.ceil((1.25 * i * member.weight) / total);
          assert.ok(member.inFlight <= most, `${member.inFlight} of ${i} with weight ${member.weight} of ${total}`);
        }
      }),
      { numRuns: 30 },
    );
  });
});
