import { rm } from "node:fs/promises";
import { after, before, it } from "node:test";
import { beginVisit, journey, type Visit } from "./journey.ts";
import { mailFolderOf, newFolder } from "./shop.fixture.ts";

/** The shop somewhere, for one walk. Everything that it keeps is in the folder that it was started with. */
export interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

/** The journey as tests, for inside a `describe`: the same wherever the shop runs and however it is split. */
export function walk(start: (folder: string) => Promise<Running>): void {
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
