import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startTestApp } from "plinth/testing";
import shop from "./app.ts";
import { beginVisit, journey, type Visit } from "./journey.ts";

interface Running {
  readonly url: string;
  stop(): Promise<void>;
}

interface Placement {
  readonly name: string;
  readonly skip?: string | false;
  start(mailFolder: string): Promise<Running>;
}

/** The same journey wherever the shop runs and however it is split. */
const placements: readonly Placement[] = [
  {
    name: "in one process",
    start: (mailFolder) => startTestApp(shop, { environment: { SHOP_MAIL_FOLDER: mailFolder } }),
  },
  {
    name: "with RPC between its groups",
    start: (mailFolder) => startTestApp(shop, { placement: "groups", environment: { SHOP_MAIL_FOLDER: mailFolder } }),
  },
];

for (const { name, skip = false, start } of placements) {
  describe(`the shop ${name}: a customer`, { skip }, () => {
    let mailFolder = "";
    let running: Running | undefined;
    let visit: Visit | undefined;
    let startedAt = 0;

    before(async () => {
      mailFolder = await mkdtemp(join(tmpdir(), "plinth-shop-"));
      running = await start(mailFolder);
      visit = beginVisit({ url: running.url, mailFolder });
      startedAt = performance.now();
    });
    after(async () => {
      await running?.stop();
      await rm(mailFolder, { recursive: true, force: true });
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
  });
}
