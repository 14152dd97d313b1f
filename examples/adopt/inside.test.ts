import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startInsideExpress } from "./inside-express.ts";
import { startInsideFastify } from "./inside-fastify.ts";
import { environment, forge, post, signIn, trace } from "./visitor.fixture.ts";

const hosts = { Express: startInsideExpress, Fastify: startInsideFastify };

for (const [name, start] of Object.entries(hosts)) {
  describe(`Plinth inside an existing ${name} app`, () => {
    let shop: Awaited<ReturnType<typeof start>>;
    before(async () => {
      shop = await start(0, { environment, management: false });
    });
    after(() => shop.stop());

    test("what was there before answers as before, bodies and unknown paths included", async () => {
      const book = { isbn: "9780486280615", title: "Adventures of Huckleberry Finn" };
      assert.deepEqual(await (await post(`${shop.url}/books`, book)).json(), { count: 2 });
      const { books } = (await (await fetch(`${shop.url}/books`)).json()) as { books: unknown[] };
      assert.deepEqual(books[1], book);
      const unknown = await fetch(`${shop.url}/nowhere`);
      assert.equal(unknown.status, 404);
      assert.notEqual(unknown.headers.get("content-type"), "application/problem+json");
    });

    test("a moved endpoint is checked against its contract", async () => {
      const level = await fetch(`${shop.url}/stock/9780486280615`);
      assert.deepEqual(await level.json(), { isbn: "9780486280615", copies: 3 });
      const wrong = await fetch(`${shop.url}/stock/42`);
      assert.equal(wrong.status, 422);
      const unknown = (await (await fetch(`${shop.url}/stock/9999999999999`)).json()) as { reason: string };
      assert.equal(unknown.reason, "BOOK_UNKNOWN");
    });

    test("a protected one answers 401 without a token and with a forged one, and knows who has a good one", async () => {
      const path = `${shop.url}/stock/9780141439518/reservations`;
      const token = await signIn(shop.url);
      for (const wrong of [undefined, forge(token)]) {
        const refused = await post(path, { copies: 1 }, wrong);
        assert.equal(refused.status, 401);
        assert.equal(refused.headers.get("content-type"), "application/problem+json");
        assert.match(refused.headers.get("www-authenticate") ?? "", /^Bearer/);
      }
      const reserved = await post(path, { copies: 1 }, token);
      assert.equal(reserved.status, 201);
      assert.equal(((await reserved.json()) as { reservedBy: string }).reservedBy, "ada");
    });

    test("a slow one answers 504 at its deadline, in the trace that the caller began", async () => {
      const token = await signIn(shop.url);
      const slow = await post(`${shop.url}/stock/counts`, undefined, token, { traceparent: trace.traceparent });
      assert.equal(slow.status, 504);
      assert.equal(((await slow.json()) as { traceId: string }).traceId, trace.id);
      const spans = shop.plinth.tracer.spans().filter((span) => span.traceId === trace.id);
      assert.ok(spans.some((span) => span.name === "POST /stock/counts" && span.parentSpanId === trace.spanId));
    });
  });
}
