import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createManualClock, createSeededRandom } from "../base/index.ts";
import type { Balance, BalancerOptions } from "./balancer.ts";
import { createBalancer } from "./balancer.ts";
import type { Member } from "./member.ts";
import { defaultOutlierRules } from "./outliers.ts";

const every: readonly Balance[] = ["p2c", "round-robin", "weighted", "least-request", "hash"];

interface Given {
  readonly name: string;
  readonly weight?: number;
  readonly zone?: string;
}

function groupOf(members: readonly (string | Given)[], options: Partial<BalancerOptions> = {}) {
  const clock = createManualClock();
  const said: string[] = [];
  const balancer = createBalancer<string>({
    balance: "round-robin",
    clock,
    random: createSeededRandom(7),
    outliers: defaultOutlierRules,
    inFlightMax: 1000,
    slowStartMs: 30_000,
    events: {
      onEject: ({ name }, reason, ms) => said.push(`${name} ${reason} ${ms}`),
      onReturn: ({ name }) => said.push(`${name} returns`),
    },
    ...options,
  });
  const update = (given: readonly (string | Given)[]) =>
    balancer.update(
      given.map((each) => (typeof each === "string" ? { name: each, value: each } : { ...each, value: each.name })),
    );
  update(members);
  const member = (name: string) => balancer.members.find((each) => each.name === name) as Member<string>;
  const answer = (name: string, outcome: "success" | "failure" | "nothing", ms = 5, times = 1) => {
    for (let i = 0; i < times; i++) {
      balancer.begin(member(name));
      if (outcome !== "nothing") balancer.observe(member(name), outcome, ms);
      balancer.end(member(name));
    }
  };
  const names = (count: number, key?: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => balancer.pick({ key: key?.(i) })?.name ?? "nobody");
  return { balancer, clock, said, update, member, answer, names };
}

/** How often each came. */
function counts(names: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name of names) found[name] = (found[name] ?? 0) + 1;
  return found;
}

function isNear(count: number | undefined, wanted: number, part: number): void {
  assert.ok(Math.abs((count ?? 0) - wanted) <= wanted * part, `${count} is not within ${part * 100} % of ${wanted}`);
}

describe("a balancer", () => {
  for (const balance of every) {
    test(`${balance} starves nobody, and picks somebody while there is anybody`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 1000 }), (count, salt) => {
          const list = Array.from({ length: count }, (_, i) => `m${i}`);
          const { names } = groupOf(list, { balance, random: createSeededRandom(salt) });
          const seen = new Set(names(count * 60, (i) => `key ${salt} ${i}`));
          assert.deepEqual([...seen].sort(), [...list].sort());
        }),
        { numRuns: 30 },
      );
    });

    test(`${balance} picks nobody of none, of those that are full, and of those that were tried`, () => {
      const { balancer, member, update } = groupOf(["a", "b"], { balance, inFlightMax: 2 });
      const [a, b] = [member("a"), member("b")];
      assert.equal(balancer.pick({ avoid: [a], key: "x" })?.name, "b");
      assert.equal(balancer.pick({ avoid: [a, b], key: "x" }), undefined);
      balancer.begin(a);
      balancer.begin(a);
      for (let i = 0; i < 20; i++) assert.equal(balancer.pick({ key: `${i}` })?.name, "b");
      balancer.begin(b);
      balancer.begin(b);
      assert.equal(balancer.pick(), undefined);
      assert.equal(update([]).length, 2);
      assert.equal(balancer.pick(), undefined);
    });

    test(`${balance} leaves out who is unhealthy, and takes all when all are`, () => {
      const { balancer, member, names } = groupOf(["a", "b", "c"], { balance });
      balancer.setHealthy(member("a"), false);
      balancer.setHealthy(member("a"), false);
      assert.deepEqual(Object.keys(counts(names(200, (i) => `${i}`))).sort(), ["b", "c"]);
      balancer.setHealthy(member("b"), false);
      balancer.setHealthy(member("c"), false);
      assert.equal(balancer.isPanicking, true);
      assert.deepEqual(Object.keys(counts(names(200, (i) => `${i}`))).sort(), ["a", "b", "c"]);
    });
  }

  test("takes the own zone first, all zones when too many of it are out, and another rather than none", () => {
    const members = ["1", "2", "3", "4"].flatMap((n) => [
      { name: `a${n}`, zone: "a" },
      { name: `b${n}`, zone: "b" },
    ]);
    const { balancer, member, names } = groupOf(members, { zone: "a", outliers: undefined });
    assert.ok(names(100).every((name) => name.startsWith("a")));
    balancer.setHealthy(member("a1"), false);
    assert.ok(names(100).every((name) => name.startsWith("a")));
    balancer.setHealthy(member("a2"), false);
    assert.equal(new Set(names(100)).size, 6);
    balancer.setHealthy(member("a1"), true);
    balancer.setHealthy(member("a2"), true);
    const near = balancer.members.filter(({ zone }) => zone === "a");
    assert.equal(balancer.pick({ avoid: near })?.zone, "b");
  });

  test("keeps what is known of members that stay, gives back those that leave", () => {
    const { balancer, update, member, answer, clock } = groupOf(["a", "b"]);
    answer("a", "success", 40);
    const a = member("a");
    const left = update([{ name: "a", weight: 3 }, "c"]);
    assert.deepEqual(
      left.map(({ name }) => name),
      ["b"],
    );
    assert.deepEqual([member("a"), a.weight, Math.round(a.latency.at(clock.now()))], [a, 3, 40]);
    const moved = update([{ name: "a", zone: "z" }]);
    assert.deepEqual(
      moved.map(({ name }) => name),
      ["a", "c"],
    );
    assert.notEqual(balancer.members[0], a);
  });

  test("with other options keeps its members", () => {
    const { balancer, answer, clock } = groupOf(["a", "b", "c"]);
    answer("a", "failure", 5, 5);
    const options = { clock, random: createSeededRandom(1), inFlightMax: 9, slowStartMs: 0 };
    const next = createBalancer({ ...options, balance: "p2c", outliers: defaultOutlierRules }, balancer);
    assert.deepEqual(
      next.members.map(({ state }) => state),
      ["ejected", "available", "available"],
    );
    const open = createBalancer({ ...options, balance: "p2c" }, next);
    open.look();
    assert.ok(open.members.every(({ state }) => state === "available"));
  });
});

describe("a member that is new or came back", () => {
  for (const balance of ["p2c", "round-robin", "weighted", "least-request"] as const) {
    test(`gets a small share with ${balance}, and its full one after the slow start`, async () => {
      const { update, names, clock } = groupOf(["a", "b"], { balance });
      update(["a", "b", "c"]);
      const at = async (ms: number) => {
        await clock.advance(ms);
        return (counts(names(6000)).c ?? 0) / 6000;
      };
      const first = await at(0);
      assert.ok(first > 0.01 && first < 0.08, `${first} at the beginning`);
      const half = await at(15_000);
      assert.ok(half > 0.12 && half < 0.27, `${half} after half of it`);
      isNear(await at(15_000), 1 / 3, 0.06);
    });
  }

  test("has nobody to spare it when all are new", () => {
    const { balancer, names } = groupOf([{ name: "a", weight: 1 }, "b"], { balance: "weighted" });
    assert.deepEqual(counts(names(100)), { a: 50, b: 50 });
    balancer.update(
      ["a", "b", "c", "d"].map((name) => ({ name, value: name })),
      true,
    );
    assert.deepEqual(counts(names(100)), { a: 25, b: 25, c: 25, d: 25 });
  });
});

describe("latency", () => {
  test("rises with what nobody waited for, and does not fall with it", () => {
    const { balancer, member, clock, said } = groupOf(["a", "b"], { balance: "p2c" });
    const at = () => Math.round(member("a").latency.at(clock.now()));
    balancer.observe(member("a"), "success", 20);
    balancer.observe(member("a"), "unfinished", 5);
    balancer.observe(member("a"), "unfinished");
    assert.equal(at(), 20);
    for (let i = 0; i < 9; i++) balancer.observe(member("a"), "unfinished", 300);
    assert.deepEqual([at(), said], [300, []]);
  });

  test("is not lowered by a failure that came fast, and raised by one that came late", () => {
    const { balancer, member, clock } = groupOf(["a", "b"], { balance: "p2c", outliers: undefined });
    const at = () => Math.round(member("a").latency.at(clock.now()));
    balancer.observe(member("a"), "success", 20);
    balancer.observe(member("a"), "failure", 1);
    balancer.observe(member("a"), "failure");
    assert.equal(at(), 20);
    balancer.observe(member("a"), "failure", 3000);
    assert.equal(at(), 3000);
  });
});

describe("the penalty of failures", () => {
  test("doubles with each in a row, up to 64, is forgotten within seconds, and ends with a success", async () => {
    const { answer, member, clock } = groupOf(["a", "b"], { outliers: undefined });
    const penalty = () => Math.round(member("a").penaltyAt(clock.now()));
    assert.equal(penalty(), 1);
    answer("a", "failure");
    assert.equal(penalty(), 2);
    answer("a", "failure", 5, 9);
    assert.equal(penalty(), 64);
    await clock.advance(12_000);
    assert.equal(penalty(), 2);
    answer("a", "failure");
    assert.equal(penalty(), 64);
    answer("a", "success");
    assert.equal(penalty(), 1);
  });

  test("keeps p2c away from a member that fails at once, and lets it back when it works again", async () => {
    const { balancer, answer, clock } = groupOf(["a", "b", "c"], { balance: "p2c", outliers: undefined });
    for (const name of ["a", "b", "c"]) answer(name, "success", 10);
    let isSick = true;
    const shareOf = async (requests: number) => {
      let count = 0;
      for (let i = 0; i < requests; i++) {
        const name = balancer.pick()?.name as string;
        if (name === "a") count++;
        answer(name, name === "a" && isSick ? "failure" : "success", name === "a" && isSick ? 1 : 10);
        await clock.advance(10);
      }
      return count / requests;
    };
    assert.ok((await shareOf(2000)) < 0.02);
    isSick = false;
    await shareOf(1500);
    assert.ok((await shareOf(1000)) > 0.25);
  });
});

describe("ejection", () => {
  test("comes with the fifth failure in a row, and a success in between begins anew", () => {
    const { answer, said, member } = groupOf(["a", "b", "c"]);
    answer("a", "failure", 5, 4);
    answer("a", "success");
    answer("a", "failure", 5, 4);
    answer("a", "nothing", 5, 10);
    assert.equal(member("a").state, "available");
    answer("a", "failure");
    assert.deepEqual([member("a").state, said], ["ejected", ["a consecutive_failures 30000"]]);
  });

  test("ends after its time; the first failure begins a longer one, and good times shorten it again", async () => {
    const { balancer, answer, said, member, clock } = groupOf(["a", "b", "c"]);
    answer("a", "failure", 5, 5);
    await clock.advance(29_000);
    balancer.look();
    assert.equal(member("a").state, "ejected");
    await clock.advance(1000);
    balancer.look();
    assert.equal(member("a").state, "available");
    answer("a", "failure");
    assert.deepEqual(said.slice(1), ["a returns", "a consecutive_failures 60000"]);
    await clock.advance(60_000);
    balancer.look();
    for (let i = 0; i < 3; i++) {
      answer("a", "success", 5, 10);
      await clock.advance(10_000);
      balancer.look();
    }
    answer("a", "failure", 5, 5);
    assert.equal(said.at(-1), "a consecutive_failures 30000");
  });

  test("is never longer than the longest", async () => {
    const { balancer, answer, said, clock } = groupOf(["a", "b", "c"]);
    answer("a", "failure", 5, 5);
    for (let i = 0; i < 12; i++) {
      await clock.advance(300_000);
      balancer.look();
      answer("a", "failure");
    }
    assert.equal(said.at(-1), "a consecutive_failures 300000");
  });

  test("hits one of few, and a tenth of many", () => {
    for (const [count, ejected] of [
      [1, 0],
      [2, 1],
      [3, 1],
      [19, 1],
      [40, 4],
    ] as const) {
      const list = Array.from({ length: count }, (_, i) => `m${i}`);
      const { answer, balancer } = groupOf(list);
      for (const name of list) answer(name, "failure", 5, 6);
      assert.equal(balancer.members.filter(({ state }) => state === "ejected").length, ejected, `of ${count}`);
    }
  });

  test("is ignored when fewer than half would be left", () => {
    const { answer, balancer, names, member } = groupOf(["a", "b", "c"]);
    answer("a", "failure", 5, 5);
    assert.equal(counts(names(90)).a, undefined);
    balancer.setHealthy(member("b"), false);
    assert.equal(balancer.isPanicking, true);
    assert.deepEqual(Object.keys(counts(names(90))).sort(), ["a", "c"]);
  });

  test("finds who fails more often than the others, but not in a row", async () => {
    const { balancer, answer, said, clock } = groupOf(["a", "b", "c"]);
    for (let i = 0; i < 10; i++) {
      answer("a", "failure");
      answer("a", "success", 5, 2);
      answer("b", "success", 5, 3);
      answer("c", "success", 5, 3);
    }
    balancer.look();
    assert.deepEqual(said, []);
    await clock.advance(10_000);
    balancer.look();
    assert.deepEqual(said, ["a failure_ratio 30000"]);
  });

  test("finds nobody when all fail alike, when there are few calls, and when there is nobody to compare with", async () => {
    const alike = groupOf(["a", "b", "c"]);
    for (let i = 0; i < 10; i++) {
      for (const name of ["a", "b", "c"]) {
        alike.answer(name, "failure");
        alike.answer(name, "success", 5, 2);
      }
    }
    const few = groupOf(["a", "b"]);
    for (let i = 0; i < 6; i++) {
      few.answer("a", "failure");
      few.answer("a", "success", 5, 2);
      few.answer("b", "success", 5, 3);
    }
    const alone = groupOf(["a", "b"]);
    for (let i = 0; i < 10; i++) {
      alone.answer("a", "failure");
      alone.answer("a", "success", 5, 2);
    }
    for (const { balancer, clock, said } of [alike, few, alone]) {
      await clock.advance(10_000);
      balancer.look();
      assert.deepEqual(said, []);
    }
  });

  test("does not count for a member that has left, or when it is off", () => {
    const { balancer, member, update, said } = groupOf(["a", "b"]);
    const a = member("a");
    for (let i = 0; i < 6; i++) balancer.begin(a);
    update(["b"]);
    for (let i = 0; i < 6; i++) {
      balancer.observe(a, "failure");
      balancer.end(a);
    }
    assert.deepEqual([said, a.inFlight], [[], 0]);
    const off = groupOf(["a", "b", "c"], { outliers: undefined });
    off.answer("a", "failure", 5, 50);
    off.balancer.look();
    assert.equal(off.member("a").state, "available");
  });
});
