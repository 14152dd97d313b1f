/** What an app does with more than it can do: the same in one process and over RPC. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { createMetrics } from "../telemetry/index.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { createProcessOverload } from "./overload.ts";
import { createRuntime } from "./runtime.ts";
import type { TestApp } from "./testing.ts";
import { startTestApp } from "./testing.ts";

const Answer = t.Object({ ok: t.Boolean() });
const desk = contract("desk", {
  methods: {
    order: method({ http: "GET /order", access: "public", criticality: "critical", response: Answer }),
    browse: method({ http: "GET /browse", access: "public", criticality: "sheddable", response: Answer }),
  },
});

/** Work that nobody can interrupt. */
function work(ms: number): { ok: boolean } {
  const endAt = systemClock.now() + ms;
  while (systemClock.now() < endAt);
  return { ok: true };
}

const office = app({
  name: "office",
  services: [service(desk, { methods: { order: async () => work(5), browse: async () => work(5) } })],
  placement: { edge: ["gateway"], core: ["desk"] },
});

async function statuses(running: TestApp, path: string, count: number): Promise<number[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const response = await fetch(running.url + path);
      await response.text();
      return response.status;
    }),
  );
}

for (const placement of ["process", "groups"] as const) {
  test(`a burst that cannot be served is cut where it matters least, ${placement}`, async () => {
    const running = await startTestApp(office, { placement });
    try {
      // Connections are there: a process takes in one of them in each turn of its loop.
      await statuses(running, "/order", 40);
      const [browsing, orders] = await Promise.all([
        statuses(running, "/browse", 200),
        sleep(50).then(() => statuses(running, "/order", 8)),
      ]);
      const served = browsing.filter((status) => status === 200).length;
      assert.ok(browsing.every((status) => status === 200 || status === 503));
      assert.ok(served > 0 && served < 200, `${served} of 200`);
      assert.deepEqual(new Set(orders), new Set([200]));
    } finally {
      await running.stop();
    }
  });
}

test("an app may do without, and then everybody waits", async () => {
  const running = await startTestApp(app({ ...office, placement: undefined, gateway: { overload: false } } as never));
  try {
    assert.deepEqual(new Set(await statuses(running, "/browse", 60)), new Set([200]));
  } finally {
    await running.stop();
  }
});

test("its state can be scraped, by criticality and reason", async () => {
  const runtime = await createRuntime(office, {
    environment: { NODE_ENV: "test", PLINTH_LOG: "silent" },
    settings: { port: 0 },
    management: false,
  });
  const { body } = await runtime.metrics.render();
  assert.match(body, /plinth_overload_limit 2000/);
  assert.match(body, /plinth_overload_in_flight 0/);
  assert.match(body, /plinth_overload_shed_total\{criticality="sheddable",reason="wait"\} 0/);
  const nothing = createProcessOverload(
    { overload: false },
    { clock: systemClock, random: { next: () => 0 } as never, metrics: createMetrics() },
  );
  assert.equal(nothing, undefined);
});

test("the Model says how much a method matters, and what is no criticality is refused", () => {
  assert.deepEqual(
    buildModel(office).services[0]?.methods.map(({ criticality }) => criticality),
    ["critical", "sheddable"],
  );
  const odd = contract("odd", { methods: { a: method({ access: "public", criticality: "urgent" as never }) } });
  assert.throws(
    () => buildModel(app({ name: "x", services: [service(odd, { methods: { a: async () => {} } })] })),
    /odd\.a: criticality: "urgent" is none; use one of sheddable, sheddable_plus, critical, critical_plus/,
  );
});
