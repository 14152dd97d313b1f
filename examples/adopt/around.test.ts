import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startTestApp, type TestApp } from "plinth/testing";
import { aroundExpress } from "./around-express.ts";
import { aroundFastify } from "./around-fastify.ts";
import { environment, forge, post, signIn, trace } from "./visitor.fixture.ts";

const definitions = { Express: aroundExpress, Fastify: aroundFastify };

for (const [name, define] of Object.entries(definitions)) {
  describe(`Plinth around existing ${name} apps`, () => {
    let shop: TestApp;
    before(async () => {
      shop = await startTestApp(await define(), { environment });
    });
    after(() => shop.stop());

    test("what was there before answers under its old paths, bodies included", async () => {
      assert.equal((await fetch(`${shop.url}/books`)).status, 200);
      const added = await post(`${shop.url}/books`, { isbn: "9780486280615", title: "Huckleberry Finn" });
      assert.deepEqual(await added.json(), { count: 2 });
    });

    test("a moved endpoint wins over the mount", async () => {
      const level = await fetch(`${shop.url}/stock/9780486280615`);
      assert.deepEqual(await level.json(), { isbn: "9780486280615", copies: 3 });
    });

    test("the reports answer 401 without a token and with a forged one", async () => {
      const path = `${shop.url}/reports/sales`;
      assert.equal((await fetch(path)).status, 401);
      assert.equal(
        (await fetch(path, { headers: { authorization: `Bearer ${forge(await signIn(shop.url))}` } })).status,
        401,
      );
    });

    test("the reports see their own paths, and the trace with our span as the parent", async () => {
      const sales = await fetch(`${shop.url}/reports/sales`, {
        headers: { authorization: `Bearer ${await signIn(shop.url)}`, traceparent: trace.traceparent },
      });
      const { sold, traceparent } = (await sales.json()) as { sold: number; traceparent: string };
      assert.equal(sold, 41);
      const [, traceId, parentId, flags] = traceparent.split("-");
      assert.deepEqual([traceId, flags], [trace.id, "01"]);
      assert.notEqual(parentId, trace.spanId);
    });

    test("a report that does not come is answered with 504 at the mount's deadline", async () => {
      const year = await fetch(`${shop.url}/reports/year`, {
        headers: { authorization: `Bearer ${await signIn(shop.url)}` },
      });
      assert.equal(year.status, 504);
      assert.equal(year.headers.get("content-type"), "application/problem+json");
    });
  });
}
