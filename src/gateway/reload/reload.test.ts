import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, StartError } from "../../base/index.ts";
import { createLogger, createMetrics } from "../../telemetry/index.ts";
import { createMemoryDestination } from "../../telemetry/testing.ts";
import type { GatewayFile } from "./gateway-file.ts";
import { createReload } from "./reload.ts";

function reloading(initial: string) {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const metrics = createMetrics();
  const taken: (string | undefined)[] = [];
  const state: { content: string | undefined; refusal: readonly string[] } = { content: initial, refusal: [] };
  const reload = createReload({
    path: "gateway.json",
    clock,
    log: createLogger({ destination, clock }),
    metrics,
    apply: ({ revision }: GatewayFile) => {
      if (state.refusal.length === 0) taken.push(revision);
      return state.refusal;
    },
    read: async () => {
      if (state.content === undefined) throw new Error("ENOENT");
      return Buffer.from(state.content);
    },
  });
  const messages = () => destination.records.map(({ msg }) => msg);
  const metric = async (name: string) =>
    Number(new RegExp(`^${name} (\\S+)$`, "m").exec((await metrics.render()).body)?.[1]);
  return { reload, state, taken, clock, messages, metric };
}

const file = (revision: string) => JSON.stringify({ revision });

test("a content is taken once, and looked at again when it has changed", async (t) => {
  const { reload, state, taken, metric } = reloading(file("one"));
  await reload.start();
  t.after(() => reload.stop());
  await reload.look();
  assert.deepEqual(taken, ["one"]);
  const first = await metric("plinth_gateway_config_hash");
  state.content = file("two");
  await reload.look();
  assert.deepEqual(taken, ["one", "two"]);
  assert.notEqual(await metric("plinth_gateway_config_hash"), first);
});

test("each second it is looked at, until it is stopped", async () => {
  const { reload, state, taken, clock } = reloading(file("one"));
  await reload.start();
  state.content = file("two");
  await clock.advance(1000);
  await reload.look();
  assert.deepEqual(taken, ["one", "two"]);
  reload.stop();
  state.content = file("three");
  await clock.advance(5000);
  assert.deepEqual(taken, ["one", "two"]);
});

test("a refused content is told once, and what served is there again without being taken anew", async (t) => {
  const { reload, state, taken, messages, metric } = reloading(file("one"));
  await reload.start();
  t.after(() => reload.stop());
  const { revision } = reload;
  state.content = "{";
  await reload.look();
  await reload.look();
  assert.equal(await metric("plinth_gateway_config_last_reload_successful"), 0);
  assert.equal(reload.revision, revision);
  state.content = file("one");
  await reload.look();
  assert.deepEqual(taken, ["one"]);
  assert.equal(await metric("plinth_gateway_config_last_reload_successful"), 1);
  assert.deepEqual(messages(), [
    "the gateway's file was taken",
    "the gateway's file was refused; what served before goes on",
    "the gateway's file is again what serves",
  ]);
});

test("a file that is gone, and one that is too large, change nothing", async (t) => {
  const { reload, state, taken, messages } = reloading(file("one"));
  await reload.start();
  t.after(() => reload.stop());
  state.content = undefined;
  await reload.look();
  await reload.look();
  state.content = " ".repeat(1024 * 1024 + 1);
  await reload.look();
  assert.deepEqual(taken, ["one"]);
  assert.deepEqual(messages().slice(1), [
    "the gateway's file cannot be read; what served before goes on",
    "the gateway's file was refused; what served before goes on",
  ]);
});

test("what those that know the names refuse, is refused", async (t) => {
  const { reload, state, taken } = reloading(file("one"));
  await reload.start();
  t.after(() => reload.stop());
  state.refusal = ["splits.main: no"];
  state.content = file("two");
  await reload.look();
  assert.deepEqual(taken, ["one"]);
});

test("at the start a wrong file, and none, stop it", async () => {
  const wrong = reloading("[]");
  await assert.rejects(
    wrong.reload.start(),
    (thrown) => thrown instanceof StartError && /the file is no object/.test(thrown.message),
  );
  const none = reloading("");
  none.state.content = undefined;
  await assert.rejects(
    none.reload.start(),
    (thrown) => thrown instanceof StartError && /it cannot be read: ENOENT/.test(thrown.message),
  );
});
