import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { StartError } from "../base/index.ts";
import { method, raw } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { ask, request, testGateway } from "./testing.ts";

let gateway: Gateway;
let port = 0;
let changed = 0;

before(async () => {
  gateway = testGateway(
    {
      change: { method: raw({ http: "POST /change", access: "public" }), handle: () => ({ body: String(++changed) }) },
      remove: { method: method({ http: "DELETE /change", access: "public" }), handle: () => void changed++ },
      read: { method: raw({ http: "GET /change", access: "public" }), handle: () => ({ body: "same" }) },
    },
    {
      csrf: { cookies: ["session", "__Host-sid"], origins: ["https://admin.example"] },
      mounts: [
        {
          path: "/old",
          access: "public",
          handler: (_req, res) => {
            changed++;
            res.end("ok");
          },
        },
      ],
    },
  );
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

const cookie = "theme=dark; session=abc";
const post = (headers: Record<string, string>, line = "POST /change") => ask(port, request(line, headers, "{}"));

test("a page of another origin cannot act for a signed-in user: 403, and nothing was run", async () => {
  const refused: Record<string, string>[] = [
    { cookie, "sec-fetch-site": "cross-site", origin: "https://evil.example" },
    { cookie, "sec-fetch-site": "cross-site" },
    { cookie, "sec-fetch-site": "same-site", origin: "http://other.test" },
    { cookie, "sec-fetch-site": "nonsense" },
    { cookie, origin: "https://evil.example" },
    { cookie, origin: "null" },
    { cookie, origin: "http://test.evil.example" },
    { cookie, origin: "http://test:81" },
    { cookie, origin: "https://test" },
    { cookie },
    { cookie: "__Host-sid=1", origin: "https://evil.example" },
    { cookie: "a=b;session=x", origin: "https://evil.example" },
    { cookie: "a=b;  session = x", origin: "https://evil.example" },
    { cookie, "sec-fetch-site": "cross-site", origin: "https://admin.example.evil.example" },
  ];
  const before = changed;
  for (const headers of refused) {
    for (const line of ["POST /change", "POST /old/form"]) {
      const answer = await post(headers, line);
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(JSON.parse(answer.body).reason, "CROSS_SITE_REQUEST");
    }
    assert.equal((await ask(port, request("DELETE /change", headers))).status, 403);
  }
  assert.equal(changed, before);
});

test("the app's own pages, the declared ones and the user can", async () => {
  for (const headers of [
    { cookie, "sec-fetch-site": "same-origin" },
    { cookie, "sec-fetch-site": "none" },
    { cookie, origin: "http://test" },
    { cookie, "sec-fetch-site": "cross-site", origin: "https://admin.example" },
  ]) {
    assert.equal((await post(headers)).status, 200, JSON.stringify(headers));
  }
});

test("what has no such cookie, and what changes nothing, is not looked at", async () => {
  const evil = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
  assert.equal((await post(evil)).status, 200);
  assert.equal((await post({ ...evil, cookie: "theme=dark; mysession=1; sessions=2" })).status, 200);
  assert.equal((await ask(port, request("GET /change", { ...evil, cookie }))).status, 200);
  assert.equal((await ask(port, request("HEAD /change", { ...evil, cookie }))).status, 200);
});

test("a declaration that means nothing is refused at start", () => {
  const refused = (csrf: unknown, words: RegExp) =>
    assert.throws(
      () => testGateway({}, { csrf: csrf as { cookies: string[] } }),
      (thrown) => thrown instanceof StartError && thrown.reason === "CSRF_INVALID" && words.test(thrown.message),
    );
  refused({ cookies: [] }, /name the cookies/);
  refused({ cookies: ["a b"] }, /"a b" is no cookie name/);
  refused({ cookies: ["a"], origins: ["https://admin.example/"] }, /is no exact origin/);
  refused({ cookies: ["a"], origins: ["*"] }, /is no exact origin/);
});
