import { generateKeyPairSync, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { audit, type Violation } from "../../examples/shop/books.ts";
import type { CheckoutOutcome } from "../../examples/shop/traffic/checkouts.ts";
import { root } from "../../scripts/source/tree.ts";
import { startPostgres, type TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { startRedis } from "../../src/engines/redis/redis-server.fixture.ts";
import { type Fleet, startFleet } from "../fleet.ts";
import { startVirtualService, type VirtualService } from "../virtual-service.ts";

/** The shop in production mode: two processes of each group on a Postgres and a Redis of their own, behind one address. */
export interface Shop {
  readonly fleet: Fleet;
  readonly service: VirtualService;
  /** What is wrong with the books, once nothing moves any more or 30 s have passed. */
  violations(checkouts: readonly CheckoutOutcome[]): Promise<readonly Violation[]>;
  dispose(): Promise<void>;
}

export const shopGroups = ["edge", "catalogue", "orders", "workers"] as const;
const processesOfEach = 2;
const restMs = 30_000;

export async function startShop(): Promise<Shop> {
  const undo: (() => Promise<unknown>)[] = [];
  const dispose = async (): Promise<void> => {
    for (const one of undo.reverse()) await one();
  };
  try {
    const postgres = await startPostgres({ settings: { max_connections: "300" } });
    undo.push(() => postgres.dispose());
    const redis = await startRedis();
    undo.push(() => redis.kill());
    const fleet = await startFleet({
      appFile: `${root}examples/shop/app.ts`,
      groups: Object.fromEntries(shopGroups.map((group) => [group, processesOfEach])),
      edge: "edge",
      environment: {
        // As it is run: with the quiet period before a gateway closes.
        NODE_ENV: "production",
        PLINTH_LOG: "info",
        PLINTH_TOKEN_KEY: newTokenKey(),
        PLINTH_URL: "https://shop.example.com",
        PLINTH_PROVIDER_SECRET: randomBytes(32).toString("base64"),
        DATABASE_URL: postgres.url.href,
        CACHE_URL: redis.url.href,
      },
    });
    undo.push(() => fleet.dispose());
    const service = await startVirtualService(fleet.of("edge"));
    undo.push(() => service.close());
    return { fleet, service, violations: (checkouts) => rest(postgres, checkouts), dispose };
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
}

function newTokenKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

async function rest(postgres: TestPostgres, checkouts: readonly CheckoutOutcome[]): Promise<readonly Violation[]> {
  const endAt = performance.now() + restMs;
  for (;;) {
    const found = await audit((_service, text) => postgres.adminQuery(text), checkouts);
    if (found.length === 0 || performance.now() > endAt) return found;
    await sleep(500);
  }
}
