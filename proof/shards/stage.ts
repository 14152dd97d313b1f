import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestPostgres } from "../../src/engines/postgres/server.fixture.ts";
import { startPostgres } from "../../src/engines/postgres/server.fixture.ts";
import type { BankAddress } from "./bank.ts";

export const shardNames = ["a", "b", "c", "d"] as const;

/** Four Postgres servers, one for each shard; on the first one also the hub. And a folder for histories. */
export interface Stage {
  readonly folder: string;
  readonly servers: readonly TestPostgres[];
  /** Of a bank on the first `count` shards. */
  address(schema: string, count: number, poolSize?: number): Promise<BankAddress>;
  dispose(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), "plinth-shards-"));
  const servers: TestPostgres[] = [];
  const dispose = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.dispose()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const _ of shardNames) servers.push(await startPostgres({ settings: { max_connections: "200" } }));
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
  return {
    folder,
    servers,
    async address(schema, count, poolSize) {
      const urls = await Promise.all(servers.slice(0, count).map((server) => server.database("bank")));
      const shards = Object.fromEntries(urls.map((url, i) => [shardNames[i] as string, url.href]));
      const hub = await (servers[0] as TestPostgres).database("hub");
      return { schema, hub: hub.href, shards, ...(poolSize !== undefined && { poolSize }) };
    },
    dispose,
  };
}
