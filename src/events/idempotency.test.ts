import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once as emitted } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createManualClock, error, newId } from "../base/index.ts";
import type { Database, Transaction } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import postgres from "../engines/postgres/index.ts";
import type { IdempotencyProcessOptions } from "./fixtures/idempotency-process.ts";
import type { Stage } from "./fixtures/stage.ts";
import { effects, embeddedDriver, openStage } from "./fixtures/stage.ts";
import { createIdempotencyStore } from "./idempotency.ts";
import type { OnceOptions } from "./idempotency-run.ts";
import { isFinal, runOnce } from "./idempotency-run.ts";
import { createIdempotencySweeper } from "./idempotency-sweeper.ts";
import { createGate } from "./suite-probe.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const postgresDriver = () => (url ? postgres.ports.database?.(new URL(url)) : undefined);
const entry = { scope: "orders.place customer-1", key: "k1", requestHash: "h1" };
const declined = () => error("failed_precondition", "The card was declined.", { reason: "CARD_DECLINED" });

async function effect(tx: Transaction, n = 1): Promise<{ n: number }> {
  await tx.sql`insert into effect (key, n) values ('x', ${n})`;
  return { n };
}

/** The whole of a request whose work is one effect. */
async function once<R>(
  database: Database,
  entry: OnceOptions["entry"],
  effect: (tx: Transaction) => Promise<R>,
  leaseMs = 60_000,
): Promise<R> {
  const store = createIdempotencyStore(database);
  const outcome = await runOnce({ store, database, entry, leaseMs }, (once) => once(effect));
  if (outcome.state === "failed") throw outcome.error;
  return outcome.answer.body as R;
}

async function count(database: Database): Promise<number> {
  return (await effects(database)).length;
}

for (const [engine, driverOf] of Object.entries({ pglite: embeddedDriver, postgres: postgresDriver })) {
  const skip = engine === "postgres" && !url ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`idempotency keys on ${engine}`, { skip }, () => {
    let stage: Stage;
    before(async () => {
      stage = await openStage(driverOf());
    });
    after(() => stage.close());

    it("give a repeat the first answer, and no second effect", async () => {
      const database = await stage.service();
      assert.deepEqual(await once(database, entry, (tx) => effect(tx, 1)), { n: 1 });
      assert.deepEqual(await once(database, entry, (tx) => effect(tx, 2)), { n: 1 });
      assert.equal(await count(database), 1);
      for (const other of [{ key: "k2" }, { scope: "orders.place customer-2" }]) {
        await once(database, { ...entry, ...other }, (tx) => effect(tx));
      }
      assert.equal(await count(database), 3, "another key and another caller are others");
      assert.equal(await once(database, { ...entry, key: "void" }, async () => {}), undefined);
      assert.equal(await once(database, { ...entry, key: "void" }, async () => {}), undefined);
    });

    it("give a repeat the body that was recorded", async () => {
      const database = await stage.service();
      const store = createIdempotencyStore(database);
      const answer = { body: { id: "7", text: "\u0000é" } };
      const mine = { ...entry, shardKey: "customer-1" };
      const begun = await store.claim(mine, 60_000);
      assert.ok(begun.state === "new");
      await assert.rejects(store.claim(mine, 60_000), { reason: "IDEMPOTENCY_IN_PROGRESS", executed: "yes" });
      await database.transaction((tx) => store.finish(tx, begun.claim, answer));
      assert.deepEqual(await store.claim(mine, 60_000), { state: "done", answer });
      const [row] = await database.sql`select shard_key, lease_until from plinth_idempotency`;
      assert.deepEqual(row, { shard_key: "customer-1", lease_until: null });
    });

    it("can be taken over when the lease of whoever worked is over, who then cannot finish", async () => {
      const database = await stage.service();
      const store = createIdempotencyStore(database);
      const late = await store.claim(entry, 1);
      assert.ok(late.state === "new");
      await database.sql`select pg_sleep(0.01)`;
      await assert.rejects(store.claim({ ...entry, requestHash: "h2" }, 1), { reason: "IDEMPOTENCY_KEY_REUSED" });
      assert.deepEqual(await once(database, entry, (tx) => effect(tx, 2)), { n: 2 });
      const overtaken = database.transaction(async (tx) => {
        await effect(tx, 1);
        await store.finish(tx, late.claim, { body: { n: 1 } });
      });
      await assert.rejects(overtaken, { reason: "IDEMPOTENCY_IN_PROGRESS" });
      await assert.rejects(store.fail(late.claim, declined()), { reason: "IDEMPOTENCY_IN_PROGRESS" });
      await store.release(late.claim);
      assert.deepEqual(await once(database, entry, (tx) => effect(tx, 3)), { n: 2 });
      assert.equal(await count(database), 1);
    });

    it("record what work answered that never called once, after it", async () => {
      const database = await stage.service();
      const store = createIdempotencyStore(database);
      const options = { store, database, entry, leaseMs: 60_000 };
      const first = await runOnce(options, async () => ({ n: 7 }));
      assert.deepEqual([first.isRepeat, first.result], [false, { n: 7 }]);
      const again = await runOnce(options, () => Promise.reject(new Error("it ran")));
      assert.deepEqual(again, { state: "done", answer: { body: { n: 7 } }, isRepeat: true });
      const unrecorded: unknown[] = [];
      const large = { ...options, entry: { ...entry, key: "large" }, onUnrecorded: (e: unknown) => unrecorded.push(e) };
      await runOnce(large, async () => "x".repeat(300_000));
      assert.match(String(unrecorded[0]), /too large/);
    });

    it("tell who calls once twice, or answers with something else", async () => {
      const database = await stage.service();
      const options = { store: createIdempotencyStore(database), database, leaseMs: 60_000 };
      const other = runOnce({ ...options, entry }, async (once) => ({ ...(await once((tx) => effect(tx))) }));
      await assert.rejects(other, /answers with what once\(\) returned/);
      const twice = runOnce({ ...options, entry: { ...entry, key: "twice" } }, async (once) => {
        await once((tx) => effect(tx));
        return once((tx) => effect(tx));
      });
      await assert.rejects(twice, /once\(\) is called once in a call/);
      assert.equal(await count(database), 2);
    });

    it("refuse the same key with another request", async () => {
      const database = await stage.service();
      const store = createIdempotencyStore(database);
      await once(database, entry, effect);
      const other = { ...entry, requestHash: "h2" };
      const refusal = { code: "invalid_argument", reason: "IDEMPOTENCY_KEY_REUSED", executed: "no" };
      await assert.rejects(once(database, other, effect), refusal);
      await assert.rejects(store.claim(other, 1_000), refusal);
      assert.equal(await count(database), 1);
    });

    it("have one effect for many at once: the others are refused, or get its answer", async () => {
      const database = await stage.service();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 12 }, (_, n) => once(database, entry, (tx) => effect(tx, n))),
      );
      const answers = new Set(outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value.n] : [])));
      assert.equal(answers.size, 1);
      for (const each of outcomes) {
        if (each.status === "rejected") assert.equal(each.reason.reason, "IDEMPOTENCY_IN_PROGRESS");
      }
      assert.equal(await count(database), 1);
    });

    it("record nothing when the effect is rolled back, so that a repeat begins anew", async () => {
      const database = await stage.service();
      for (const failure of [
        new Error("bug"),
        error("unavailable", "later"),
        error("invalid_argument", "not a number"),
        error("permission_denied", "not yours"),
        error("failed_precondition", "soon", { retry: 1_000 }),
      ]) {
        const broken = once(database, entry, async (tx) => {
          await effect(tx);
          throw failure;
        });
        await assert.rejects(broken, failure instanceof Error ? { message: failure.message } : failure);
      }
      assert.equal(await count(database), 0);
      assert.deepEqual(await once(database, entry, effect), { n: 1 });
    });

    it("record an error that answers the request, without what was written before it", async () => {
      const database = await stage.service();
      let runs = 0;
      const pay = () =>
        once(database, entry, async (tx) => {
          runs++;
          await effect(tx);
          throw declined();
        });
      await assert.rejects(pay(), { code: "failed_precondition", reason: "CARD_DECLINED" });
      await assert.rejects(pay(), { reason: "CARD_DECLINED", message: "The card was declined.", executed: "yes" });
      assert.equal(runs, 1);
      assert.equal(await count(database), 0);
      assert.equal(isFinal(declined()), true);
      assert.equal(isFinal(error("internal", "bug")), false);
    });

    it("keep the details of a recorded error, and undo a broken statement", async () => {
      const database = await stage.service();
      await database.sql`create unique index on effect (key)`;
      await once(database, { ...entry, key: "first" }, effect);
      const again = () => once(database, entry, effect);
      await assert.rejects(again(), { reason: "UNIQUE_VIOLATION" });
      await assert.rejects(again(), { reason: "UNIQUE_VIOLATION" });
      const detailed = async () => {
        throw error("not_found", "No such product.", { reason: "NO_PRODUCT", details: { sku: "7" } });
      };
      for (let i = 0; i < 2; i++) {
        await assert.rejects(once(database, { ...entry, key: "d" }, detailed), { details: { sku: "7" } });
      }
    });

    it("are as new when they have expired, and are deleted then", async () => {
      const database = await stage.service();
      await once(database, entry, effect);
      await once(database, { ...entry, key: "young" }, effect);
      await database.sql`update plinth_idempotency set expires_at = clock_timestamp() where key = ${entry.key}`;
      assert.deepEqual(await once(database, { ...entry, requestHash: "h2" }, (tx) => effect(tx, 2)), { n: 2 });
      assert.equal(await count(database), 3);
      await database.sql`update plinth_idempotency set expires_at = clock_timestamp() where key = ${entry.key}`;
      const store = createIdempotencyStore(database);
      const clock = createManualClock();
      let swept = () => {};
      const sweeping = new Promise<void>((resolve) => {
        swept = resolve;
      });
      const sweeper = createIdempotencySweeper({
        service: "shop",
        clock,
        store: {
          async deleteExpired(limit) {
            const deleted = await store.deleteExpired(limit);
            swept();
            return deleted;
          },
        },
      });
      sweeper.start();
      await clock.advance(600_000);
      await sweeping;
      await sweeper.stop();
      assert.deepEqual(await database.sql`select key from plinth_idempotency`, [{ key: "young" }]);
      const warnings: string[] = [];
      const broken = createIdempotencySweeper({
        service: "shop",
        clock,
        log: { warn: (_, text) => warnings.push(text), error() {} },
        store: { deleteExpired: () => Promise.reject(new Error("away")) },
      });
      broken.start();
      await clock.advance(600_000);
      await broken.stop();
      assert.match(warnings[0] ?? "", /could not be cleaned/);
    });

    it("refuse an answer beyond 256 KiB, and roll its effect back", async () => {
      const database = await stage.service();
      const large = once(database, entry, async (tx) => {
        await effect(tx);
        return "x".repeat(300_000);
      });
      await assert.rejects(large, { reason: "IDEMPOTENCY_ANSWER_TOO_LARGE", executed: "no" });
      assert.equal(await count(database), 0);
    });

    it("refuse what is no key, and wrong use", async () => {
      const database = await stage.service();
      const store = createIdempotencyStore(database);
      for (const key of ["", "a\tb", "é", "x".repeat(256)]) {
        await assert.rejects(store.claim({ ...entry, key }, 1), { reason: "IDEMPOTENCY_KEY_UNUSABLE" });
      }
      await assert.rejects(store.claim({ ...entry, scope: "" }, 1), /scope of a key/);
      await assert.rejects(store.claim({ ...entry, requestHash: "" }, 1), /hash of a request/);
      assert.throws(() => createIdempotencyStore(database, { keep: "31d" }), /1 ms to 30 days/);
    });
  });
}

describe("an idempotency key that is worked on, on Postgres", { skip: url ? false : "no Postgres" }, () => {
  it("is refused at once with 409's code, and free again when the work is undone", async () => {
    const stage = await openStage(postgresDriver());
    const database = await stage.service();
    const gate = createGate();
    const begun = createGate();
    const slow = once(database, entry, async (tx) => {
      await effect(tx);
      begun.open();
      await gate.opened;
      throw error("unavailable", "gone");
    });
    await begun.opened;
    await assert.rejects(once(database, entry, effect), {
      code: "aborted",
      reason: "IDEMPOTENCY_IN_PROGRESS",
      retry: 1_000,
    });
    gate.open();
    await assert.rejects(slow, { message: "gone" });
    assert.deepEqual(await once(database, entry, effect), { n: 1 });
    assert.equal(await count(database), 1);
    await stage.close();
  });
});

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function ask(options: IdempotencyProcessOptions, crashPoint = ""): Promise<unknown> {
  const script = new URL("./fixtures/idempotency-process.ts", import.meta.url).pathname;
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify(options)],
    { env: { ...env, PLINTH_CRASH_POINT: crashPoint }, stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code, signal] = await emitted(child, "close");
  if (signal === "SIGKILL") return "killed";
  assert.equal(code, 0);
  return JSON.parse(output);
}

for (const engine of ["pglite", "postgres"]) {
  const skip = engine === "postgres" && !url ? "PLINTH_TEST_POSTGRES_URL is not set" : false;

  describe(`a process killed with SIGKILL while it answers, on ${engine}`, { skip }, () => {
    async function place(): Promise<IdempotencyProcessOptions> {
      const schema = `idempotency_crash_${newId().replaceAll("-", "")}`;
      if (engine === "postgres") return { url: url ?? "", schema, key: "k" };
      const folder = await mkdtemp(join(tmpdir(), "plinth-idempotency-"));
      folders.push(folder);
      return { url: `pglite://${join(folder, "data")}`, schema, key: "k" };
    }

    for (const point of ["idempotency.written", "idempotency.committed"]) {
      it(`at ${point}: a repeat finds one effect, and its answer`, async () => {
        const options = await place();
        assert.equal(await ask(options, point), "killed");
        assert.deepEqual(await ask(options), { effects: 1 });
        assert.deepEqual(await ask(options), { effects: 1 });
        if (engine !== "postgres") return;
        const driver = postgresDriver();
        await driver?.open();
        if (driver) {
          const database = createDatabase({ driver, schema: "public" });
          await database.session((session) => session.script(`drop schema "${options.schema}" cascade`));
        }
        await driver?.close();
      });
    }
  });
}
