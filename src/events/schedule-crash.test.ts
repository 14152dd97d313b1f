import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { newId } from "../base/index.ts";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import postgres from "../engines/postgres/index.ts";
import type { CrashPointName } from "./crash-points.ts";
import type { Verdict } from "./fixtures/schedule-fleet.ts";
import { begin, endOf, everyMs, judge } from "./fixtures/schedule-fleet.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";
const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const engines: Readonly<Record<string, () => Promise<{ url: string; driver: DatabaseDriver }>>> = {
  async pglite() {
    const folder = await mkdtemp(join(tmpdir(), "plinth-schedules-"));
    folders.push(folder);
    return openable(`pglite://${join(folder, "data")}`, pglite.ports.database);
  },
  postgres: async () => openable(url ?? "", postgres.ports.database),
};

function openable(place: string, make: typeof postgres.ports.database) {
  const driver = make?.(new URL(place));
  assert.ok(driver);
  return { url: place, driver };
}

for (const [engine, make] of Object.entries(engines)) {
  describe(`a leader killed in the middle of a tick, on ${engine}`, {
    skip: engine === "postgres" && skip,
    concurrency: 2,
  }, () => {
    async function crash(point: CrashPointName, atomic: boolean): Promise<Verdict> {
      const { url: place, driver } = await make();
      const schema = `schedule_crash_${newId().replaceAll("-", "")}`;
      const options = { url: place, schema, everyMs, ticks: 3, ttlMs: 400, renewMs: 50, holdMs: 5, atomic };
      const killed = begin(options, `${point}:2`);
      await endOf(killed);
      assert.equal(killed.signalCode, "SIGKILL", "it was killed");
      const next = begin(options);
      await endOf(next);
      assert.equal(next.exitCode, 0);
      await driver.open();
      const database = createDatabase({ driver, schema });
      const verdict = await judge(database);
      await database.session((session) => session.script(`drop schema "${schema}" cascade`));
      await driver.close();
      return verdict;
    }

    for (const point of ["tick.claimed", "tick.written", "tick.committed"] as const) {
      it(`at ${point}: the tick takes effect once, and none is missing`, { timeout: 60_000 }, async () => {
        const { ticks: count, ...verdict } = await crash(point, true);
        assert.ok(count >= 3);
        assert.deepEqual(verdict, { twice: 0, missing: 0, failed: 0 });
      });
    }

    it("at tick.committed, with the row written afterwards: it takes effect twice, which the checker sees", async () => {
      assert.equal((await crash("tick.committed", false)).twice, 1);
    });
  });
}
