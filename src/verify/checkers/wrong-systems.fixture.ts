import type { Random } from "../../base/index.ts";
import { createSeededRandom } from "../../base/index.ts";
import type { Outcome } from "../history.ts";
import type { CacheSample } from "./cache.ts";
import type { Term } from "./leader.ts";
import type { SequencedEffect } from "./order.ts";

/**
 * Small systems in memory, right by default, each with the defects that its checker must see. Time and chance come from
 * the seed, so a run can be repeated.
 */
const pick = <T>(random: Random, items: readonly T[]): T => items[random.uint32() % items.length] as T;

/** A shop: orders are placed in a database, and a consumer charges and mails. Processes die, messages come twice. */
export function runShop(
  seed: number,
  defect?: "inbox off" | "acknowledge before commit" | "acknowledge delivery before effect",
) {
  const random = createSeededRandom(seed);
  const orders: { id: string; outcome: Outcome }[] = [];
  const placed: string[] = [];
  const charged: string[] = [];
  const mailed: string[] = [];
  const queue: string[] = [];
  const inbox = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const id = `order-${i}`;
    const dies = random.next() < 0.1;
    const commits = !dies || random.next() < 0.5;
    if (commits) {
      placed.push(id);
      queue.push(id);
    }
    const isTold = defect === "acknowledge before commit" || !dies;
    orders.push({ id, outcome: isTold ? "ok" : "unknown" });
  }
  while (queue.length > 0) {
    const id = queue.shift() as string;
    const dies = random.next() < 0.1;
    const diesBeforeEffect = dies && random.next() < 0.5;
    const isNew = defect === "inbox off" || !inbox.has(id);
    if (isNew && !diesBeforeEffect) {
      inbox.add(id);
      charged.push(id);
      mailed.push(id);
    }
    if (dies && defect !== "acknowledge delivery before effect") queue.push(id);
  }
  return { orders, effects: { placed, charged, mailed } };
}

/** Writers whose transactions commit in another order than they drew their numbers in, and a relay that reads them. */
export function runRelay(seed: number, defect?: "id cursor" | "dirty read") {
  const random = createSeededRandom(seed);
  const open: { id: number; commitsAt: number }[] = [];
  const table: { id: number; isPublished: boolean }[] = [];
  const relayed: string[] = [];
  let cursor = 0;
  for (let now = 0; now < 300; now++) {
    if (now < 200) open.push({ id: now + 1, commitsAt: now + 1 + (random.uint32() % 8) });
    for (const each of open.filter(({ commitsAt }) => commitsAt === now))
      table.push({ id: each.id, isPublished: false });
    if (now % 3 !== 0) continue;
    const found = defect ? table.filter(({ id }) => id > cursor) : table.filter(({ isPublished }) => !isPublished);
    for (const row of found.sort((a, b) => a.id - b.id)) {
      row.isPublished = true;
      cursor = Math.max(cursor, row.id);
      relayed.push(String(row.id));
    }
  }
  const adds = table.map(({ id }) => ({ element: String(id), outcome: "ok" as Outcome, endedAt: id }));
  return { adds, reads: [{ beganAt: 1000, elements: relayed }] };
}

/** A consumer of several keys with many hands. */
export function runConsumer(seed: number, defect?: "keys run at once" | "skips what failed") {
  const random = createSeededRandom(seed);
  const keys = ["a", "b", "c"];
  const effects: SequencedEffect[] = [];
  const waiting = new Map(keys.map((key) => [key, Array.from({ length: 20 }, (_, i) => i + 1)]));
  while ([...waiting.values()].some(({ length }) => length > 0)) {
    const key = pick(random, keys);
    const line = waiting.get(key) as number[];
    const at = defect === "keys run at once" && line.length > 1 ? random.uint32() % 2 : 0;
    const sequence = line[at];
    if (sequence === undefined) continue;
    const fails = random.next() < 0.2;
    if (fails && defect !== "skips what failed") continue;
    line.splice(at, 1);
    if (!fails) effects.push({ subscription: "mail", key, sequence });
  }
  return { effects, published: Object.fromEntries(keys.map((key) => [key, 20])), subscriptions: ["mail"] };
}

/** Transfers between accounts, and a reader in between. */
export function runBank(seed: number, defect?: "torn transfer" | "no check") {
  const random = createSeededRandom(seed);
  const accounts = ["a", "b", "c", "d"];
  const balances: Record<string, bigint> = Object.fromEntries(accounts.map((account) => [account, 100n]));
  const reads: Record<string, bigint>[] = [];
  for (let i = 0; i < 200; i++) {
    const [from, to] = [pick(random, accounts), pick(random, accounts)];
    const amount = BigInt(random.uint32() % 60);
    if (balances[from] !== undefined && balances[from] < amount && defect !== "no check") continue;
    balances[from] = (balances[from] ?? 0n) - amount;
    if (defect === "torn transfer" && random.next() < 0.2) reads.push({ ...balances });
    balances[to] = (balances[to] ?? 0n) + amount;
    if (i % 5 === 0) reads.push({ ...balances });
  }
  return { total: 400n, reads };
}

/** Candidates for a lease, one of which is paused beyond the end of its own. */
export function runElection(
  seed: number,
  defect?: "no epoch check" | "believes after its lease" | "tick without its row",
) {
  const random = createSeededRandom(seed);
  const terms: Term[] = [];
  const effectEpochs: number[] = [];
  const runs: { job: string; dueAt: number }[] = [];
  const expected: { job: string; dueAt: number }[] = [];
  const done = new Set<number>();
  let now = 0;
  for (let epoch = 1; epoch <= 40; epoch++) {
    const owner = `p${epoch % 5}`;
    const until = now + 10 + (random.uint32() % 10);
    const isPaused = random.next() < 0.3;
    terms.push({
      owner,
      epoch,
      from: now,
      until: isPaused && defect === "believes after its lease" ? until + 5 : until,
    });
    effectEpochs.push(epoch);
    const tick = { job: "sweep", dueAt: now };
    expected.push(tick);
    runs.push(tick);
    done.add(now);
    if (isPaused && epoch > 1) {
      // The leader before this one wakes up, and would finish what it had begun.
      if (defect === "no epoch check") effectEpochs.push(epoch - 1);
      if (defect === "tick without its row" || !done.has(now)) runs.push(tick);
    }
    now = until;
  }
  return { leader: { terms, effectEpochs }, ticks: { runs, expected } };
}

/** Writers and slow fills of a cache. */
export function runCache(seed: number, defect?: "fill without lease") {
  const random = createSeededRandom(seed);
  const keys = ["a", "b", "c"];
  const stored = new Map(keys.map((key) => [key, "0"]));
  const cached = new Map<string, string>();
  const fences = new Map(keys.map((key) => [key, 0]));
  const fills: { key: string; value: string; fence: number; endsAt: number }[] = [];
  for (let now = 0; now < 400; now++) {
    const key = pick(random, keys);
    if (now < 300 && random.next() < 0.3) {
      stored.set(key, String(now));
      cached.delete(key);
      fences.set(key, (fences.get(key) ?? 0) + 1);
    } else if (!cached.has(key)) {
      fills.push({
        key,
        value: stored.get(key) as string,
        fence: fences.get(key) as number,
        endsAt: now + 1 + (random.uint32() % 10),
      });
    }
    for (const fill of fills.filter(({ endsAt }) => endsAt === now)) {
      if (defect || fences.get(fill.key) === fill.fence) cached.set(fill.key, fill.value);
    }
  }
  const samples: CacheSample[] = keys.map((key) => ({
    key,
    cached: cached.get(key),
    stored: stored.get(key),
    quietMs: 6000,
  }));
  return { samples };
}

/** Keys that move between two shards while they are written. */
export function runShards(seed: number, defect?: "fence off" | "move forgets") {
  const random = createSeededRandom(seed);
  const shards: Record<string, string[]> = { one: [], two: [] };
  const home = (key: string, moved: boolean): string => (moved && key.endsWith("m") ? "two" : "one");
  const writes: { key: string; outcome: Outcome }[] = [];
  const written: string[] = [];
  for (let i = 0; i < 200; i++) {
    const key = `${i}${i % 2 === 0 ? "m" : "s"}`;
    const moved = i >= 100;
    if (i === 100) {
      const moving = written.filter(
        (each) => each.endsWith("m") && !(defect === "move forgets" && random.next() < 0.1),
      );
      shards.two = moving;
      shards.one = (shards.one as string[]).filter((each) => !each.endsWith("m"));
    }
    // A router with a map from before the move writes where the key was.
    const isStale = moved && random.next() < 0.2;
    if (isStale && defect !== "fence off") {
      writes.push({ key, outcome: "fail" });
      continue;
    }
    shards[home(key, moved && !isStale)]?.push(key);
    written.push(key);
    writes.push({ key, outcome: "ok" });
  }
  return { writes, shards, homeOf: (key: string) => home(key, true) };
}

/** A caller that sends the same request again when it hears nothing. */
export function runRetries(seed: number, defect?: "no store" | "answers anew" | "does not compare bodies") {
  const random = createSeededRandom(seed);
  const calls: { key: string; body: string; outcome: Outcome; answer?: string }[] = [];
  const effects: string[] = [];
  const store = new Map<string, { body: string; answer: string }>();
  for (let i = 0; i < 100; i++) {
    const key = `key-${i}`;
    for (let attempt = 0; attempt < 3; attempt++) {
      const body = random.next() < 0.1 ? "other" : "body";
      const known = defect === "no store" ? undefined : store.get(key);
      if (known && known.body !== body && defect !== "does not compare bodies") {
        calls.push({ key, body, outcome: "fail" });
        continue;
      }
      if (!known) effects.push(key);
      const answer = known && defect !== "answers anew" ? known.answer : String(random.uint32());
      store.set(key, { body: known?.body ?? body, answer: known?.answer ?? answer });
      calls.push(random.next() < 0.3 ? { key, body, outcome: "unknown" } : { key, body, outcome: "ok", answer });
    }
  }
  return { calls, effects };
}

/** A system that fails while a fault lasts, until 1,000, and for a while after it. */
export function runOutage(seed: number, defect?: "never heals") {
  const random = createSeededRandom(seed);
  const operations = Array.from({ length: 200 }, (_, i) => {
    const beganAt = i * 50;
    const isDown = beganAt < 2000 || (defect !== undefined && random.next() < 0.1);
    const outcome: Outcome = isDown ? pick(random, ["fail", "unknown"] as const) : "ok";
    return { beganAt, outcome };
  });
  return { operations, healedAt: 1000, withinMs: 2000 };
}
