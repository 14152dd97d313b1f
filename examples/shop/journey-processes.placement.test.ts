import assert from "node:assert/strict";
import { describe } from "node:test";
import { newDatabase, skipWithoutPostgres } from "./postgres.fixture.ts";
import { freePorts, startCommand } from "./process.fixture.ts";
import { mailFolderOf } from "./shop.fixture.ts";
import { type Running, walk } from "./walk.fixture.ts";

/**
 * `plinth start --group …` for each, as on four machines that share a database. A second one has no directory and no other
 * service: every account moves there while the shop is open.
 */
async function startProcesses(folder: string): Promise<Running> {
  const groups = ["edge", "catalogue", "orders", "workers"];
  const [port = 0, ...ports] = await freePorts(1 + groups.length);
  const databases = [await newDatabase(), await newDatabase()] as const;
  const stores = { DATABASE_URL: databases[0].url, DATABASE_SHARDS: `b=${databases[1].url}` };
  const programs = groups.map((group, i) =>
    startCommand(["start", "--group", group], {
      folder,
      environment: {
        NODE_ENV: "test",
        ...stores,
        PORT: String(port),
        PLINTH_MANAGEMENT_PORT: "0",
        PLINTH_RPC_PORT: String(ports[i]),
        PLINTH_RPC_SECRET: "a secret for tests alone",
        PLINTH_ADDRESSES: groups.map((name, j) => `${name}=127.0.0.1:${ports[j]}`).join(";"),
        SHOP_MAIL_FOLDER: mailFolderOf(folder),
      },
    }),
  );
  const stop = async () => {
    await Promise.all(programs.map((program) => program.stop()));
    for (const database of databases) await database.drop();
  };
  try {
    await Promise.all(programs.map((program) => program.says(/ready \S+ in [\d.]+ s/)));
    const move = startCommand(["shards", "move", "--buckets", "0-1023", "--to", "b"], { folder, environment: stores });
    assert.equal(await move.ended, 0, move.output());
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { url: `http://127.0.0.1:${port}`, stop };
}

describe(
  "the shop in four processes on Postgres, with its accounts on a database of their own: a customer",
  { skip: skipWithoutPostgres },
  () => walk(startProcesses),
);
