/** One suite, in each placement: what an app promises does not depend on where its services live. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isError, newId } from "../base/index.ts";
import { observed, sampleApp, store, watcher } from "./sample.fixture.ts";
import type { TestApp } from "./testing.ts";
import { startTestApp } from "./testing.ts";

const postgres = process.env.PLINTH_TEST_POSTGRES_URL;
const placements: readonly (readonly [
  name: string,
  placement: "process" | "groups",
  databaseUrl: string | undefined,
])[] = [
  ["in one process", "process", undefined],
  ["over RPC between groups", "groups", undefined],
  ["over RPC between groups, on Postgres", "groups", postgres],
];

for (const [name, placement, databaseUrl] of placements) {
  const skip = name.includes("Postgres") && !postgres ? "PLINTH_TEST_POSTGRES_URL is not set" : false;
  describe(name, { skip }, () => {
    let running: TestApp;
    // Postgres may have seen this test before.
    const run = newId();
    before(async () => {
      const environment = { SAMPLE_KEY: "a key of some length", ...(databaseUrl && { DATABASE_URL: databaseUrl }) };
      running = await startTestApp(sampleApp, { placement, environment });
    });
    after(() => running?.stop());

    const request = async (
      method: string,
      path: string,
      options: { body?: unknown; headers?: Record<string, string> } = {},
    ) => {
      const response = await fetch(running.url + path, {
        method,
        headers: { ...(options.body !== undefined && { "content-type": "application/json" }), ...options.headers },
        ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
      });
      const text = await response.text();
      const isJson = (response.headers.get("content-type") ?? "").includes("json");
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: isJson && !text.includes("\n") ? JSON.parse(text) : undefined,
      };
    };
    const signIn = async (scopes?: string[]) => {
      const { json } = await request("POST", "/sessions", { body: { name: "ada", ...(scopes && { scopes }) } });
      return { authorization: `Bearer ${json.token}` };
    };

    test("a change made through the gateway is seen through it, and its event reaches the other service once", async () => {
      assert.equal((await request("PUT", `/items/${run}`, { body: { label: run } })).status, 204);
      const got = await request("GET", `/items/${run}`);
      assert.deepEqual(got.json, { id: run, label: run });
      assert.equal(got.headers.get("cache-control"), "public, no-cache");
      let items: readonly { label: string; times: number }[] = [];
      for (let i = 0; i < 100 && items.length === 0; i++) {
        const { items: all } = await running.client(watcher).seen();
        items = all.filter((item) => item.label.startsWith(run));
        if (items.length === 0) await sleep(50);
      }
      assert.deepEqual(
        items.filter((item) => item.label === `${run}/${run}`),
        [{ label: `${run}/${run}`, times: 1 }],
      );
      await request("PUT", `/items/${run}`, { body: { label: "two" } });
      assert.equal((await request("GET", `/items/${run}`)).json.label, "two");
    });

    test("a declared error keeps its reason and status", async () => {
      const { status, json } = await request("GET", "/items/absent");
      assert.deepEqual([status, json.status, json.reason], [404, 404, "ITEM_UNKNOWN"]);
      await assert.rejects(
        running.client(store).get({ id: "absent" }),
        (thrown) => isError(thrown, "NOT_FOUND") && thrown.executed === "yes",
      );
    });

    test("a stream arrives item by item, as NDJSON and as server-sent events", async () => {
      const lines = (await request("GET", "/count?from=3")).text.trim().split("\n");
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).n),
        [3, 4, 5, 6, 7],
      );
      const events = await request("GET", "/count?from=0", { headers: { accept: "text/event-stream" } });
      assert.match(events.headers.get("content-type") ?? "", /text\/event-stream/);
      assert.equal(events.text.match(/^data: {"n"/gm)?.length, 5);
    });

    test("a raw method gets the request and gives the answer as they are", async () => {
      const response = await fetch(`${running.url}/hooks/a/b`, {
        method: "POST",
        headers: { "x-kind": "test" },
        body: "hello",
      });
      assert.equal(response.status, 202);
      assert.equal(response.headers.get("x-hook"), "yes");
      assert.equal(await response.text(), "POST a/b test hello");
    });

    test("a deadline ends the call and cancels down the tree", async () => {
      const before = observed.hangCancelled;
      const { status, json } = await request("GET", "/hang");
      assert.deepEqual([status, json.reason], [504, "DEADLINE_EXCEEDED"]);
      for (let i = 0; i < 40 && observed.hangCancelled === before; i++) await sleep(25);
      assert.equal(observed.hangCancelled, before + 1);
    });

    test("a client that goes away cancels down the tree", async () => {
      const before = observed.hangCancelled;
      const controller = new AbortController();
      const pending = fetch(`${running.url}/hang`, { signal: controller.signal }).catch(() => {});
      await sleep(50);
      controller.abort();
      await pending;
      for (let i = 0; i < 40 && observed.hangCancelled === before; i++) await sleep(25);
      assert.equal(observed.hangCancelled, before + 1);
    });

    test("the principal travels with the call, and each callee knows its caller", async () => {
      const { json } = await request("GET", "/me", { headers: await signIn() });
      assert.deepEqual(json, { subject: "ada", caller: "front", kind: "user" });
      assert.deepEqual(await running.client(store).whoAmI(), { subject: "sample", caller: "sample", kind: "service" });
    });

    test("without a token, with a forged one, or without the scope nobody gets in", async () => {
      assert.equal((await request("GET", "/me")).status, 401);
      const { authorization } = await signIn();
      const forged = `${authorization.slice(0, -6)}AAAAAA`;
      assert.equal((await request("GET", "/me", { headers: { authorization: forged } })).status, 401);
      assert.equal((await request("GET", "/admin", { headers: { authorization } })).status, 403);
      assert.equal((await request("GET", "/admin", { headers: await signIn(["admin"]) })).status, 204);
    });

    test("what a callee does to its request, and a caller to its answer, harms nobody", async () => {
      const tags = ["mine"];
      const answer = await running.client(store).mutate({ tags });
      assert.deepEqual(tags, ["mine"]);
      answer.tags.push("added by the caller");
      assert.deepEqual(observed.kept, ["kept"]);
    });

    test("settings and secrets reach the service that names them", async () => {
      assert.deepEqual((await request("GET", "/config")).json, { colour: "grey", secretLength: 20 });
    });
  });
}
