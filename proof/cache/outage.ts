import { setTimeout as sleep } from "node:timers/promises";
import type { RedisServer } from "../../src/engines/redis/redis-server.fixture.ts";
import type { Claim, Shown } from "../proof.ts";
import { none } from "../proof.ts";
import type { Browser } from "./browser.ts";
import { createBrowser, productIds } from "./browser.ts";
import type { ReadingShop, Stage } from "./stage.ts";

const processes = 2;
const requestsPerSecond = 80;
const keyCount = 20;
/** How long the near tier keeps a copy at most, by `src/cache/near.ts`: what bounds the loads while Redis is gone. */
const nearSeconds = 5;

interface Phase {
  readonly name: string;
  readonly seconds: number;
  begin?(redis: RedisServer): Promise<unknown>;
}

interface Seen {
  readonly name: string;
  readonly seconds: number;
  readonly requests: number;
  readonly reads: number;
  readonly errors: readonly string[];
  readonly msMax: number;
}

/** Reads at an even rate, while Redis forgets everything, hangs, dies and comes back. */
export async function showOutage(stage: Stage, smoke: boolean): Promise<Shown> {
  const shop = await stage.startShop({ name: "outage", processes });
  const browser = createBrowser(shop.url);
  const seconds = smoke ? 3 : 12;
  const phases: Phase[] = [
    { name: "before", seconds: 5 },
    { name: "flushed", seconds: 3, begin: (redis) => redis.command("FLUSHALL") },
    { name: "paused", seconds, begin: (redis) => redis.command("CLIENT", "PAUSE", String(seconds * 1000), "ALL") },
    { name: "after the pause", seconds: 5 },
    { name: "killed", seconds, begin: (redis) => redis.kill() },
    { name: "back", seconds: 10, begin: (redis) => redis.start() },
  ];
  try {
    const ids = (await productIds(browser)).slice(0, keyCount);
    await Promise.all(ids.map((id) => browser.get(`/products/${id}`)));
    const seen: Seen[] = [];
    for (const phase of phases) seen.push(await watch({ shop, browser, ids, redis: stage.redis }, phase));
    const entries = Number.parseInt((await stage.redis.command("DBSIZE")).slice(1), 10);
    return judge(seen, entries);
  } finally {
    browser.close();
    await shop.dispose();
  }
}

interface Watched {
  readonly shop: ReadingShop;
  readonly browser: Browser;
  readonly ids: readonly string[];
  readonly redis: RedisServer;
}

async function watch({ shop, browser, ids, redis }: Watched, phase: Phase): Promise<Seen> {
  const before = await shop.productReads();
  const beganAt = performance.now();
  await phase.begin?.(redis);
  const errors: string[] = [];
  const running: Promise<void>[] = [];
  let msMax = 0;
  const read = async (id: string): Promise<void> => {
    const answer = await browser.get(`/products/${id}`).catch((thrown: Error) => ({
      status: 0,
      body: thrown.message,
      ms: 0,
    }));
    msMax = Math.max(msMax, answer.ms);
    if (answer.status !== 200) errors.push(`${phase.name}: ${answer.status} ${answer.body.slice(0, 200)}`);
  };
  while (performance.now() - beganAt < phase.seconds * 1000) {
    const due = Math.floor(((performance.now() - beganAt) / 1000) * requestsPerSecond);
    while (running.length < due) running.push(read(ids[running.length % ids.length] as string));
    await sleep(5);
  }
  await Promise.all(running);
  const seconds = (performance.now() - beganAt) / 1000;
  const reads = (await shop.productReads()) - before;
  return { name: phase.name, seconds, requests: running.length, reads, errors, msMax };
}

/** Each process may load each key once when it loses the cache, and again when its own copy is over. */
function capOf({ seconds }: Seen): number {
  return processes * keyCount * (1 + Math.ceil(seconds / nearSeconds));
}

function judge(seen: readonly Seen[], entries: number): Shown {
  const faulty = seen.filter(({ name }) => name === "flushed" || name === "paused" || name === "killed");
  const back = seen.at(-1);
  const errors = seen.flatMap((phase) => phase.errors);
  const capped = (phase: Seen): Claim => ({
    claim: `queries while Redis is ${phase.name}: at most one a key, process and ${nearSeconds} s`,
    seen: `${phase.reads} for ${phase.requests} requests in ${phase.seconds.toFixed(1)} s; the cap is ${capOf(phase)}`,
    // A cap above the requests would cap nothing, and a fault that makes no load did not bite.
    holds: phase.reads > 0 && phase.reads <= capOf(phase) && phase.requests > capOf(phase),
  });
  return {
    claims: [
      none("errors that callers saw while Redis was flushed, paused, killed and started", errors.length),
      ...faulty.map(capped),
      {
        claim: "Redis is used again once it is back",
        seen: `${entries} keys in it after ${back?.seconds.toFixed(0)} s, ${back?.reads} queries for ${back?.requests} requests`,
        holds: entries > 0,
      },
    ],
    facts: {
      "requests a second in the outage": requestsPerSecond,
      ...Object.fromEntries(seen.map(({ name, msMax }) => [`slowest ms, ${name}`, Math.round(msMax)])),
      ...(errors[0] !== undefined && { "first error": errors[0] }),
    },
  };
}
