/** What a scrape shows of the parts of a process. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Metrics } from "../telemetry/index.ts";
import { readExposition } from "../telemetry/testing.ts";
import { groupsOf } from "./app.ts";
import type { Runtime } from "./runtime.ts";
import { createRuntime } from "./runtime.ts";
import { sampleApp, store } from "./sample.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-measures-"));
const runtimes = new Map<string, Runtime>();

before(async () => {
  const groups = [...groupsOf(sampleApp).keys()];
  const addresses = new Map<string, readonly string[]>();
  // Those that are called first: their ports are known when their callers are put together.
  for (const group of ["back", ...groups.filter((each) => each !== "back")]) {
    const runtime = await createRuntime(sampleApp, {
      group,
      environment: { NODE_ENV: "test", PLINTH_LOG: "silent", SAMPLE_KEY: "a key of some length" },
      settings: {
        port: 0,
        rpcPort: 0,
        managementPort: 0,
        dataFolder: folder,
        databaseUrl: "pglite:memory:measures",
        rpcSecret: "a secret for tests alone",
        addresses: new Map([...addresses].map(([name, list]) => [name, [...list]])),
      },
      management: false,
    });
    const { rpc } = await runtime.start();
    addresses.set(group, [rpc ?? ""]);
    runtimes.set(group, runtime);
  }
});
after(async () => {
  for (const runtime of [...runtimes.values()].reverse()) await runtime.stop();
  rmSync(folder, { recursive: true, force: true });
});

const of = (group: string): Runtime => runtimes.get(group) as Runtime;

/** The samples of a scrape: `name{label="value"}` to value. */
async function scrape(metrics: Metrics): Promise<ReadonlyMap<string, number>> {
  const { families } = readExposition((await metrics.render()).body, "prometheus");
  const samples = [...families.values()].flatMap((family) => family.samples);
  return new Map(
    samples.map(({ name, labels, value }) => {
      const texts = Object.entries(labels).map(([key, text]) => `${key}=${text}`);
      return [`${name}{${texts.join(",")}}`, value];
    }),
  );
}

async function until(claim: string, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await holds()) return;
    await sleep(30);
  }
  assert.fail(claim);
}

test("events on their way, in the outbox, at the subscription and given up, are shown where they are", async () => {
  await of("back").client(store).put({ id: "a", label: "one" });
  await until("the event was handled", async () => {
    const samples = await scrape(of("workers").metrics);
    return samples.get("plinth_subscription_events_total{subscription=watcher.note,outcome=handled}") === 1;
  });
  await until("the broker knows", async () => {
    const samples = await scrape(of("workers").metrics);
    return samples.get("plinth_subscription_pending{subscription=watcher.note}") === 0;
  });
  const workers = await scrape(of("workers").metrics);
  assert.equal(workers.get("plinth_subscription_oldest_age_seconds{subscription=watcher.note}"), 0);
  assert.equal(workers.get("plinth_subscription_events_total{subscription=watcher.note,outcome=dead}"), 0);
  assert.equal(workers.get("plinth_dead_letters{service=watcher}"), 0);
  const back = await scrape(of("back").metrics);
  assert.equal(back.get("plinth_outbox_unpublished{service=store}"), 0);
  assert.equal(back.get("plinth_outbox_oldest_age_seconds{service=store}"), 0);
  assert.ok((back.get("plinth_outbox_published_total{service=store}") ?? 0) >= 1);
  assert.equal(back.get("plinth_metrics_collect_failures_total{}") ?? 0, 0);
});

test("the database, the cache and both ends of RPC are shown", async () => {
  const client = of("edge").client(store);
  await client.get({ id: "a" });
  await client.get({ id: "a" });
  const back = await scrape(of("back").metrics);
  assert.ok((back.get("plinth_database_sessions_limit{}") ?? 0) >= 1);
  assert.ok(back.has("plinth_database_sessions{state=used}") && back.has("plinth_database_waiting{}"));
  assert.ok((back.get("plinth_cache_reads_total{service=store,outcome=hit}") ?? 0) >= 1);
  assert.ok((back.get("plinth_cache_reads_total{service=store,outcome=miss}") ?? 0) >= 1);
  assert.ok((back.get("plinth_cache_loads_total{service=store}") ?? 0) >= 1);
  assert.equal(back.get("plinth_cache_failures_total{service=store,what=engine}"), 0);
  assert.ok((back.get("plinth_rpc_server_calls_total{}") ?? 0) >= 2);
  assert.ok((back.get("plinth_rpc_server_connections{}") ?? 0) >= 1);
  assert.equal(back.get("plinth_rpc_server_refused_total{what=call}"), 0);
  const edge = await scrape(of("edge").metrics);
  assert.equal(edge.get("plinth_rpc_client_connections{group=back,state=ready}"), 1);
  assert.equal(edge.get("plinth_rpc_client_queued{group=back}"), 0);
  assert.equal(edge.get("plinth_bulkhead_refused_total{callee=store,kind=call}"), 0);
});
