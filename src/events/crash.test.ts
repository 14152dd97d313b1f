import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { newId } from "../base/index.ts";
import { createDatabase, quoteName } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import type { CrashPointName } from "./crash-points.ts";
import type { ShopOptions, ShopReport } from "./fixtures/shop-process.ts";

const postgresUrl = process.env.PLINTH_TEST_POSTGRES_URL;
const schemas: string[] = [];
const folders: string[] = [];

const stores: Readonly<Record<string, () => Promise<Pick<ShopOptions, "url" | "schema">>>> = {
  async pglite() {
    const folder = await mkdtemp(join(tmpdir(), "plinth-events-"));
    folders.push(folder);
    return { url: `pglite://${join(folder, "data")}`, schema: "shop" };
  },
  async postgres() {
    const schema = `events_crash_${newId().replaceAll("-", "")}`;
    schemas.push(schema, `${schema}_broker`);
    return { url: postgresUrl ?? "", schema };
  },
};

after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  const driver = postgresUrl && postgres.ports.database?.(new URL(postgresUrl));
  if (!driver) return;
  await driver.open();
  const database = createDatabase({ driver, schema: "public" });
  for (const schema of schemas) {
    await database.session((session) => session.script(`drop schema if exists ${quoteName(schema)} cascade`));
  }
  await driver.close();
});

/** Runs the shop as a process; its report, or undefined when it was killed. */
async function shop(options: ShopOptions, crashPoint?: CrashPointName): Promise<ShopReport | undefined> {
  const script = new URL("./fixtures/shop-process.ts", import.meta.url).pathname;
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify(options)],
    { env: { ...env, PLINTH_CRASH_POINT: crashPoint ?? "" }, stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code, signal] = await once(child, "close");
  if (signal === "SIGKILL") return undefined;
  assert.equal(code, 0, `the shop ended with ${code ?? signal}`);
  return JSON.parse(output);
}

for (const [engine, newStore] of Object.entries(stores)) {
  const skip = engine === "postgres" && !postgresUrl ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`a process killed with SIGKILL, on ${engine}`, { skip, concurrency: 2 }, () => {
    const points: readonly CrashPointName[] = [
      "outbox.committed",
      "relay.published",
      "inbox.written",
      "inbox.committed",
      "delivery.acked",
    ];
    for (const point of points) {
      it(`at ${point}: the effect is there once when it comes back`, async () => {
        const options = { ...(await newStore()), inbox: true, sell: [{ key: "a", n: 1 }] };
        assert.equal(await shop(options, point), undefined, "it was killed");
        const report = await shop({ ...options, sell: [] });
        assert.deepEqual(report, { effects: [{ key: "a", n: 1 }], dead: [] });
      });
    }

    it("with the inbox off, dies between effect and acknowledgement and takes effect twice: the inbox is what prevents it", async () => {
      const options = { ...(await newStore()), inbox: false, sell: [{ key: "a", n: 1 }] };
      assert.equal(await shop(options, "inbox.committed"), undefined, "it was killed");
      const report = await shop({ ...options, sell: [] });
      assert.equal(report?.effects.length, 2);
    });

    it("by an event, again and again: that one becomes a dead letter, and its neighbours take effect", async () => {
      const sales = [13, 1, 2].map((n) => ({ key: `k${n}`, n }));
      const options = { ...(await newStore()), inbox: true, poison: 13, sell: [] };
      assert.equal(await shop({ ...options, sell: sales }), undefined, "killed at the first attempt");
      let report: ShopReport | undefined;
      let deaths = 1;
      while (!report && deaths < 10) {
        report = await shop({ ...options, sell: [...sales.slice(1)] });
        if (!report) deaths++;
      }
      assert.equal(deaths, 3, "one for each attempt");
      assert.deepEqual(report?.dead, [{ key: "k13", reason: "EVENT_ATTEMPTS_EXHAUSTED", attempts: 3 }]);
      const numbers = report?.effects.map(({ n }) => n) ?? [];
      for (const n of [1, 2]) assert.ok(numbers.includes(n), `${n} took effect: ${numbers}`);
      assert.ok(!numbers.includes(13));
    });
  });
}
