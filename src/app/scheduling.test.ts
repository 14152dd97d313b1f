import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, database, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { createRuntime } from "./runtime.ts";
import { startTestApp } from "./testing.ts";

const ticker = contract("ticker", {
  methods: { beats: method({ response: t.Object({ at: t.Array(t.String()) }), access: "public" }) },
});

const tickerService = service(ticker, {
  needs: { db: database({ migrations: new URL("./fixtures/clock/", import.meta.url) }) },
  methods: {
    async beats(_request, { db }) {
      const rows = await db.sql<{ scheduled_at: string }>`select scheduled_at from beats order by 1`;
      return { at: rows.map((row) => row.scheduled_at) };
    },
  },
  schedules: {
    beat: {
      every: "200ms",
      catchUp: "all",
      async handle({ tx, scheduledAt, principal }) {
        await tx.sql`insert into beats values (${scheduledAt}, ${principal.subject})`;
      },
    },
    nightly: { cron: "0 3 * * *", timeZone: "Europe/Berlin", async handle() {} },
  },
});

test("a schedule runs at each of its times, in the transaction of its tick, and is measured", async () => {
  const runtime = await createRuntime(app({ name: "ticking", services: [tickerService] }), {
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent" },
    settings: { port: 0, databaseUrl: "pglite:memory" },
    management: false,
  });
  await runtime.start();
  try {
    let at: readonly string[] = [];
    for (let i = 0; i < 100 && at.length < 3; i++) {
      await sleep(50);
      ({ at } = await runtime.client(ticker).beats());
    }
    const times = at.map((each) => Date.parse(each));
    assert.ok(times.length >= 3, "it ticks");
    assert.deepEqual(
      times.map((time) => time % 200),
      times.map(() => 0),
    );
    const steps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    assert.deepEqual(new Set(steps), new Set([200]), "no tick is left out");
    const metrics = (await runtime.metrics.render()).body;
    assert.match(metrics, /plinth_schedules_leading\{service="ticker"\} 1/);
    assert.match(metrics, /plinth_schedule_ticks_total\{service="ticker",schedule="beat",outcome="done"\} [1-9]/);
  } finally {
    await runtime.stop();
  }
});

test("the Model has the schedules", () => {
  const [model] = buildModel(app({ name: "ticking", services: [tickerService] })).services;
  assert.deepEqual(model?.schedules, [
    { name: "beat", everyMs: 200, cron: null, timeZone: null },
    { name: "nightly", everyMs: null, cron: "0 3 * * *", timeZone: "Europe/Berlin" },
  ]);
});

test("a wrong schedule is refused with everything else", () => {
  const broken = service(ticker, {
    methods: { beats: async () => ({ at: [] }) },
    schedules: {
      never: { cron: "0 0 31 2 *", async handle() {} },
      soon: { every: "1ms", deadline: "1h", async handle() {} },
    },
  });
  assert.throws(
    () => buildModel(app({ name: "ticking", services: [broken] })),
    (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.match(thrown.message, /ticker: schedules: a tick takes effect once because a database remembers it; add/);
      assert.match(thrown.message, /schedule "never": cron "0 0 31 2 \*" never comes/);
      assert.match(thrown.message, /schedule "soon": every is "1ms"/);
      assert.match(thrown.message, /schedule "soon": deadline is "1h"/);
      return true;
    },
  );
});

test("a test runs a schedule out of turn, and waits for events", async () => {
  const running = await startTestApp(app({ name: "ticking", services: [tickerService] }));
  try {
    await running.tick(ticker, "nightly");
    await running.settled();
    await assert.rejects(running.tick(ticker, "weekly"), /weekly/);
    await assert.rejects(running.tick(contract("other", { methods: {} }), "x"), /no such service with schedules lives/);
  } finally {
    await running.stop();
  }
});
