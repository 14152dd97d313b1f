import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startTestApp, type TestApp } from "plinth/testing";
import { startWarehouse } from "./before/warehouse.ts";
import { overHttp } from "./over-http.ts";
import { environment, post, signIn, trace } from "./visitor.fixture.ts";
import { warehouse } from "./warehouse/contract.ts";

const isbn = "9780141439518";

describe("an existing HTTP service called through a contract", () => {
  let old: Awaited<ReturnType<typeof startWarehouse>>;
  let shop: TestApp;
  let token: string;
  before(async () => {
    old = await startWarehouse();
    shop = await startTestApp(overHttp(old.url), { environment: { ...environment, WAREHOUSE_KEY: "forklift" } });
    token = await signIn(shop.url);
  });
  beforeEach(() => {
    old.received.length = 0;
  });
  after(async () => {
    await shop.stop();
    old.stop();
  });

  test("it is a function with types, and gets the key that the app has for it", async () => {
    const { shelf } = await shop.client(warehouse).findShelf({ isbn });
    assert.equal(shelf satisfies string, "C-17");
    assert.equal(old.received[0]?.url, `/shelves/${isbn}`);
    assert.equal(old.received[0]?.headers["x-warehouse-key"], "forklift");
  });

  test("its problem becomes an error with a code, which a service makes its own", async () => {
    await assert.rejects(shop.client(warehouse).findShelf({ isbn: "9999999999999" }), { code: "not_found" });
    const unknown = await get("/picking/9999999999999");
    assert.equal(unknown.status, 404);
    assert.equal(((await unknown.json()) as { reason: string }).reason, "BOOK_UNKNOWN");
  });

  test("a 503 is tried again, since the method only reads", async () => {
    old.restart(1);
    assert.deepEqual(await (await get(`/picking/${isbn}`)).json(), { go: "to C-17" });
    assert.equal(old.received.length, 2);
  });

  test("an answer that is not what the contract says does not get in", async () => {
    await assert.rejects(shop.client(warehouse).findShelf({ isbn: "9780000000000" }), {
      reason: "HTTP_ANSWER_UNREADABLE",
    });
  });

  test("a stream of lines is an async iterable", async () => {
    const directions: string[] = [];
    for await (const { direction } of shop.client(warehouse).listMovements()) directions.push(direction);
    assert.deepEqual(directions, ["in", "in", "out"]);
    assert.deepEqual(await (await get("/picking")).json(), { in: 2, out: 1 });
  });

  test("the gateway serves its routes, to whoever has a token", async () => {
    assert.equal((await fetch(`${shop.url}/shelves/${isbn}`)).status, 401);
    assert.equal(old.received.length, 0);
    assert.deepEqual(await (await get(`/shelves/${isbn}`)).json(), { isbn, shelf: "C-17" });
    assert.equal(old.received[0]?.headers.authorization, undefined);
  });

  test("one that does not answer is given up at the contract's deadline: 504", async () => {
    await assert.rejects(shop.client(warehouse).takeInventory(), { code: "deadline_exceeded" });
    assert.equal((await post(`${shop.url}/inventories`, undefined, token)).status, 504);
  });

  test("it sees the trace that our caller began", async () => {
    await get(`/picking/${isbn}`, { traceparent: trace.traceparent });
    const [, traceId, parentId] = String(old.received[0]?.headers.traceparent).split("-");
    assert.equal(traceId, trace.id);
    assert.notEqual(parentId, trace.spanId);
  });

  function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(shop.url + path, { headers: { ...headers, authorization: `Bearer ${token}` } });
  }
});
