import { mkdirSync } from "node:fs";
import { workFolder } from "../build.ts";
import { type Program, startProgram } from "../program.ts";
import type { ShopDatabase } from "./database.ts";
import { at, groupEnvironments, type Stage, tokenKey } from "./stage.ts";

/** The whole shop of `examples/shop`, on Postgres. */
interface Located {
  readonly url: string;
}

/** Later than this after the load has ended, events were not kept up with. */
const settleMsMax = 2_000;

let stages = 0;

function environmentOf(database: ShopDatabase): Record<string, string> {
  const folder = `${workFolder}/shop-data-${++stages}`;
  mkdirSync(folder, { recursive: true });
  return {
    PORT: "0",
    DATABASE_URL: database.url,
    PLINTH_DATA: folder,
    PLINTH_TOKEN_KEY: tokenKey,
    PLINTH_URL: "https://shop.example.com",
    PLINTH_PROVIDER_SECRET: "a-secret-of-more-than-thirty-two-characters",
    SHOP_MAIL_FOLDER: `${folder}/mail`,
  };
}

export async function startShop(folder: string, database: ShopDatabase): Promise<Stage> {
  const program = await startProgram<Located>("shop/shop", { args: [folder], environment: environmentOf(database) });
  return stageOf([program], program.facts.url, database);
}

export async function startShopApart(folder: string, database: ShopDatabase): Promise<Stage> {
  const groups = await groupEnvironments(["edge", "catalogue", "orders", "workers"]);
  const shared = environmentOf(database);
  const programs: Program<Located>[] = await Promise.all(
    [...groups].map(([group, environment]) =>
      startProgram<Located>("shop/shop", { args: [folder, group], environment: { ...shared, ...environment } }),
    ),
  );
  return stageOf(programs, (programs[0] as Program<Located>).facts.url, database);
}

function stageOf(programs: readonly Program<Located>[], url: string, database: ShopDatabase): Stage {
  return {
    programs,
    origins: at(url),
    otherCpuUs: () => database.cpuUs(),
    async settle() {
      const tookMs = await database.quiet(10_000);
      return tookMs > settleMsMax ? `events were ${(tookMs / 1000).toFixed(1)} s behind` : undefined;
    },
  };
}
