import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import { systemClock } from "../../base/index.ts";
import type { Headers } from "./response-cache.fixture.ts";
import { keeping } from "./response-cache.fixture.ts";

const modified = "Sat, 01 Nov 2025 00:00:00 GMT";

/** Pages by language; a condition is answered with `told` alone. */
function pages(validator: Headers, told: Headers) {
  return (req: IncomingMessage, res: ServerResponse): void => {
    if (req.headers["if-none-match"] ?? req.headers["if-modified-since"]) {
      res.writeHead(304, told).end();
      return;
    }
    res.writeHead(200, {
      "cache-control": "max-age=10",
      "content-type": "text/html",
      "content-security-policy": "default-src 'self'",
      vary: "accept-language",
      ...validator,
    });
    res.end(`page for ${req.headers["accept-language"]}`);
  };
}

for (const [what, validator] of [
  ["a tag", { etag: '"v1"' }],
  ["a date", { "last-modified": modified }],
] as const) {
  test(`a 304 to ${what} leaves what it does not name as it was, and gives nobody another's page`, async (t) => {
    const { clock, get, asked } = await keeping(t, pages(validator, { "cache-control": "max-age=60", "x-new": "1" }), {
      staleWhileRevalidate: "1h",
    });
    await get("/a", { "Accept-Language": "de" });
    clock.advance(11_000);
    await get("/a", { "Accept-Language": "de" });
    await systemClock.sleep(50);
    const renewed = await get("/a", { "Accept-Language": "de" });
    assert.match(renewed.headers["cache-status"] ?? "", /^plinth; hit; ttl=60$/);
    assert.deepEqual(
      ["content-type", "content-security-policy", "vary", "x-new"].map((name) => renewed.headers[name]),
      ["text/html", "default-src 'self'", "accept-language", "1"],
    );
    assert.equal((await get("/a", { "Accept-Language": "fr" })).body, "page for fr");
    assert.equal(asked.length, 3);
  });
}

test("a 304 adds to what an answer depends on, and never takes of it", async (t) => {
  const { clock, get } = await keeping(t, pages({ etag: '"v1"' }, { "cache-control": "max-age=60", vary: "Accept" }));
  await get("/a", { "Accept-Language": "de" });
  clock.advance(11_000);
  const renewed = await get("/a", { "Accept-Language": "de" });
  assert.equal(renewed.headers.vary, "accept-language, accept");
  assert.equal((await get("/a", { "Accept-Language": "fr" })).body, "page for fr");
});

for (const [what, told] of [
  ["about another answer", { etag: '"v2"', "cache-control": "max-age=60" }],
  ["that forbids keeping", { "cache-control": "private, max-age=60" }],
  ["that depends on everything", { vary: "*" }],
] as const) {
  test(`after a 304 ${what} the whole is asked for`, async (t) => {
    const { asked, clock, get } = await keeping(t, pages({ etag: '"v1"' }, told));
    await get();
    clock.advance(11_000);
    const answer = await get();
    assert.deepEqual([answer.status, answer.headers["content-type"], asked.length], [200, "text/html", 3]);
    assert.match(answer.headers["cache-status"] ?? "", /fwd-status=200; stored/);
  });
}

test("an old answer that its 304 does not renew is kept no longer: nobody asks by its tag again", async (t) => {
  let isChanged = false;
  const { asked, clock, get } = await keeping(t, (req, res) => {
    if (req.headers["if-none-match"]) return void res.writeHead(304, { etag: '"v2"' }).end();
    res.writeHead(200, isChanged ? { "cache-control": "no-store" } : { "cache-control": "max-age=10", etag: '"v1"' });
    res.end("body");
  });
  await get();
  clock.advance(11_000);
  isChanged = true;
  for (let i = 0; i < 2; i++) assert.equal((await get()).body, "body");
  assert.deepEqual(
    asked.map(({ headers }) => headers["if-none-match"]),
    [undefined, '"v1"', undefined, undefined],
  );
});

for (const control of ["max-age=10, must-revalidate", "s-maxage=10", "no-cache"]) {
  test(`an old answer with a date alone and ${control} is asked for again by its date`, async (t) => {
    const { asked, clock, get } = await keeping(t, (req, res) => {
      const isSame = req.headers["if-modified-since"] === modified;
      res.writeHead(isSame ? 304 : 200, { "cache-control": control, "last-modified": modified });
      res.end(isSame ? undefined : "body");
    });
    for (let i = 0; i < 3; i++) {
      assert.equal((await get()).body, "body");
      clock.advance(11_000);
    }
    assert.deepEqual(
      asked.map(({ headers }) => headers["if-modified-since"]),
      [undefined, modified, modified],
    );
  });
}
