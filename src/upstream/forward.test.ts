import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { ask, createBench, headersOf, requestOf, textOf } from "./upstream.fixture.ts";

const bench = createBench();
after(() => bench.close());

describe("a request", () => {
  test("reaches a target as it is, and its answer comes back as it is", async () => {
    let seen: unknown;
    const target = await bench.target(async (req, res) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      seen = [req.method, req.url, req.headers["x-a"], req.headers["content-length"], body];
      res.writeHead(201, "Yes", [
        ["content-type", "text/plain"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["content-length", "5"],
      ]);
      res.end("hello");
    });
    const upstream = bench.upstream({ targets: [target.url] });
    const headers = ["X-A", "b", "Content-Length", "4"];
    const answer = await ask(upstream, { method: "POST", path: "/a%20b?c=d", headers, body: Buffer.from("body") });
    assert.deepEqual(seen, ["POST", "/a%20b?c=d", "b", "4", "body"]);
    assert.deepEqual([answer.status, answer.text, answer.target, answer.attempts], [201, "hello", target.url, 1]);
    const got = headersOf(answer);
    assert.deepEqual([got["set-cookie"], got["content-type"], got["content-length"]], ["a=1 | b=2", "text/plain", "5"]);
    assert.equal(await upstream.value("plinth_upstream_attempts_total", { outcome: "2xx", target: target.url }), 1);
  });

  test("goes round all targets", async () => {
    const targets = await Promise.all([1, 2, 3].map(() => bench.target((_, res) => res.end("ok"))));
    const upstream = bench.upstream({ targets: targets.map(({ url }) => url), balance: "round-robin" });
    for (let i = 0; i < 30; i++) await ask(upstream);
    assert.deepEqual(
      targets.map(({ count }) => count),
      [10, 10, 10],
    );
    assert.ok(upstream.states().every(({ state, inFlight }) => state === "available" && inFlight === 0));
  });

  test("to nobody there is 502, and not retried for ever", async () => {
    const upstream = bench.upstream({ targets: ["http://127.0.0.1:1"] });
    await assert.rejects(upstream.forward(requestOf()), {
      status: 502,
      reason: "UPSTREAM_UNREACHABLE",
      executed: "no",
    });
    assert.equal(await upstream.value("plinth_upstream_attempts_total", { outcome: "unreachable" }), 3);
  });

  test("keeps its answer, whatever comes over other connections before that is read", async () => {
    const target = await bench.target((req, res) => res.end(`\u00e9 of ${req.url}`, "latin1"));
    const upstream = bench.upstream({ targets: [target.url] });
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
    for (const takesWhole of [true, false]) {
      const answers = await Promise.all(paths.map((path) => upstream.forward(requestOf({ path, takesWhole }))));
      for (const [i, { whole, body }] of answers.entries()) {
        const text = whole ?? Buffer.concat(body ? await body.toArray() : []).toString("latin1");
        assert.deepEqual([text, whole !== undefined], [`\u00e9 of /${i}`, takesWhole]);
      }
    }
  });

  test("without a body to come has none", async () => {
    const target = await bench.target((req, res) => {
      if (req.url === "/204") res.writeHead(204).end();
      else if (req.url === "/304") res.writeHead(304, { etag: '"a"' }).end();
      else if (req.url === "/0") res.writeHead(200, { "content-length": "0" }).end();
      else res.writeHead(200, { "content-length": "7" }).end();
    });
    const upstream = bench.upstream({ targets: [target.url] });
    for (const path of ["/204", "/304", "/0"])
      assert.equal((await upstream.forward(requestOf({ path }))).body, undefined);
    const head = await upstream.forward(requestOf({ method: "HEAD", path: "/head" }));
    assert.deepEqual([head.body, headersOf(head)["content-length"]], [undefined, "7"]);
    assert.equal(await textOf(head.body), "");
    await upstream.drain();
  });
});
