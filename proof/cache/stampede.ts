import { spawnFaultProxy } from "../../src/verify/index.ts";
import type { Shown } from "../proof.ts";
import { none } from "../proof.ts";
import type { Browser } from "./browser.ts";
import { createBrowser, productIds } from "./browser.ts";
import type { ReadingShop, ShopOptions, Stage } from "./stage.ts";

const clients = 1_000;
const controlClients = 100;
const processes = 3;
/** Each lets 256 calls to one service run, and refuses those that would wait for more than 100 ms. */
const gateways = 4;
/** Each way, so that a load takes long enough to be run into. */
const latencyMs = 50;

/** A thousand clients want the same product at once, which no cache has. */
export async function showStampede(stage: Stage, smoke: boolean): Promise<Shown> {
  const target = { host: "127.0.0.1", port: stage.postgres.port };
  const proxy = await spawnFaultProxy({ target, protocol: "postgres" });
  const databaseUrl = (url: string): string => proxy.address(url);
  try {
    const keys = smoke ? 3 : 10;
    const rushes = await withShop(stage, { name: "stampede", processes, gateways, databaseUrl }, async (shop) => {
      await proxy.set({ up: { latencyMs }, down: { latencyMs } });
      const all: Rush[] = [];
      for (let key = 0; key < keys; key++) all.push(await rush(shop, clients, key));
      await proxy.clear();
      return all;
    });
    const without = await withShop(stage, { name: "stampede_control", isCached: false, databaseUrl }, (shop) =>
      rush(shop, controlClients, 0),
    );
    const most = Math.max(...rushes.map(({ reads }) => reads));
    return {
      claims: [
        {
          claim: `queries for one cold key that ${clients.toLocaleString("en")} clients want at once, over ${processes} processes: at most 2`,
          seen: `at most ${most}, for ${keys} keys one after the other`,
          holds: most <= 2 && most >= 1,
        },
        none("of these clients, answered with something else than the product", sum(rushes.map(({ wrong }) => wrong))),
        {
          claim: "without the cache, each client has a query of its own (control)",
          seen: `${without.reads} queries for ${controlClients} clients`,
          holds: without.reads === controlClients,
        },
      ],
      facts: {
        "ms until all 1,000 were answered, at most": Math.round(Math.max(...rushes.map(({ ms }) => ms))),
        "first wrong answer": rushes.find(({ example }) => example !== "")?.example ?? "none",
      },
    };
  } finally {
    await proxy.close();
  }
}

async function withShop<R>(stage: Stage, options: ShopOptions, run: (shop: ReadingShop) => Promise<R>): Promise<R> {
  const shop = await stage.startShop(options);
  try {
    return await run(shop);
  } finally {
    await shop.dispose();
  }
}

interface Rush {
  readonly reads: number;
  readonly wrong: number;
  readonly ms: number;
  readonly example: string;
}

async function rush(shop: ReadingShop, count: number, key: number): Promise<Rush> {
  const browsers = shop.fleet.urls.map((url) => createBrowser(url));
  try {
    const id = (await productIds(browsers[0] as Browser))[key];
    const before = await shop.productReads();
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        (browsers[i % browsers.length] as Browser)
          .get(`/products/${id}`)
          .catch((thrown: Error) => ({ status: 0, body: thrown.message, ms: 0 })),
      ),
    );
    const ms = performance.now() - startedAt;
    const wrong = answers.filter(({ status, body }) => status !== 200 || !body.includes(`"id":"${id}"`));
    const first = wrong[0];
    const example = first ? `${first.status} ${first.body.slice(0, 200)}` : "";
    return { reads: (await shop.productReads()) - before, wrong: wrong.length, ms, example };
  } finally {
    for (const browser of browsers) browser.close();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
