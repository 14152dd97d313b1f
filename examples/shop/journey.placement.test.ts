import { rm } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { startTestApp } from "plinth/testing";
import shop from "./app.ts";
import { beginVisit, journey, type Visit } from "./journey.ts";
import { newDatabase, skipWithoutPostgres } from "./postgres.fixture.ts";
import { freePorts, startCommand } from "./process.fixture.ts";
import { mailFolderOf, newFolder } from "./shop.fixture.ts";

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

interface Placement {
  readonly name: string;
  readonly skip?: string | false;
  /** Everything that it keeps is in the folder. */
  start(folder: string): Promise<Running>;
}

/** The same journey wherever the shop runs and however it is split. */
const placements: readonly Placement[] = [
  { name: "in one process", start: (folder) => startInside(folder, "process") },
  { name: "with RPC between its groups", start: (folder) => startInside(folder, "groups") },
  { name: "in four processes on Postgres", skip: skipWithoutPostgres, start: startProcesses },
];

function startInside(folder: string, placement: "process" | "groups"): Promise<Running> {
  return startTestApp(shop, {
    placement,
    environment: { SHOP_MAIL_FOLDER: mailFolderOf(folder) },
    settings: { dataFolder: folder },
  });
}

/** `plinth start --group …` for each, as on four machines that share a database. */
async function startProcesses(folder: string): Promise<Running> {
  const groups = ["edge", "catalogue", "orders", "workers"];
  const [port = 0, ...ports] = await freePorts(1 + groups.length);
  const database = await newDatabase();
  const programs = groups.map((group, i) =>
    startCommand(["--group", group], {
      folder,
      environment: {
        NODE_ENV: "test",
        DATABASE_URL: database.url,
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
    await database.drop();
  };
  try {
    await Promise.all(programs.map((program) => program.says(/ready \S+ in [\d.]+ s/)));
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { url: `http://127.0.0.1:${port}`, stop };
}

for (const { name, skip, start } of placements) {
  const title = `the shop ${name}: a customer`;
  if (skip) it(title, { skip }, () => {});
  else describe(title, () => walk(start));
}

function walk(start: Placement["start"]): void {
  let folder = "";
  let running: Running | undefined;
  let visit: Visit | undefined;
  let startedAt = 0;

  before(async () => {
    folder = await newFolder();
    running = await start(folder);
    visit = beginVisit({ url: running.url, mailFolder: mailFolderOf(folder) });
    startedAt = performance.now();
  });
  after(async () => {
    await running?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  for (const step of journey) {
    it(step.name, async (test) => {
      if (!visit) throw new Error("an earlier step failed, so this one has nothing to go on");
      const here = visit;
      visit = undefined;
      await step.run(here);
      visit = here;
      if (step !== journey.at(-1)) return;
      test.diagnostic(`the journey took ${((performance.now() - startedAt) / 1000).toFixed(2)} s once started`);
    });
  }
}
