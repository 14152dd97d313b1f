import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StartError } from "../base/index.ts";
import type { UpstreamOptions } from "./upstream-options.ts";
import { readUpstreamOptions } from "./upstream-settings.ts";

const good: UpstreamOptions = { targets: ["http://a:80"] };

/** What is said about options that come from a file and may be anything. */
function problemsOf(options: unknown): readonly string[] {
  try {
    readUpstreamOptions("shop", options as UpstreamOptions);
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof StartError, String(thrown));
    return thrown.problems;
  }
}

describe("options", () => {
  test("have their documented defaults", () => {
    const { retry, limits, outliers, breaker, health, balance, slowStartMs, hedgeMs } = readUpstreamOptions(
      "shop",
      good,
    );
    assert.deepEqual([balance, slowStartMs, health, hedgeMs], ["p2c", 30_000, undefined, undefined]);
    assert.deepEqual([...retry.statuses, retry.attempts, retry.budget], [500, 502, 503, 504, 3, 0.1]);
    assert.deepEqual([limits.requests, limits.connectMs, limits.answerBodyBytes], [1000, 1000, 1024 ** 3]);
    assert.deepEqual([outliers?.ejectionMs, breaker?.openFor], [30_000, 5000]);
    const off = readUpstreamOptions("shop", { ...good, retry: false, outliers: false, breaker: false, hedge: false });
    assert.deepEqual([off.retry.attempts, off.retry.budget, off.outliers, off.breaker], [1, 0, undefined, undefined]);
    const checked = readUpstreamOptions("shop", { ...good, health: { path: "/up", interval: "1s" } });
    assert.deepEqual([checked.health?.intervalMs, checked.health?.unhealthyAfter], [1000, 3]);
  });

  test("name targets by their origin; a name is looked up, an address and this machine are not", () => {
    const targets = ["https://a.example/", "http://10.0.0.1:81", "http://[::1]:81", "http://localhost:3000"];
    const read = readUpstreamOptions("shop", { targets }).targets;
    assert.deepEqual(
      read.map(({ origin, host, isResolved }) => [origin, host, isResolved]),
      [
        ["https://a.example", "a.example", true],
        ["http://10.0.0.1:81", "10.0.0.1", false],
        ["http://[::1]:81", "::1", false],
        ["http://localhost:3000", "localhost", false],
      ],
    );
  });

  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /targets: list 1 to 1000/],
    [[], /options: this is no object/],
    [{ targets: [] }, /targets: list 1 to 1000/],
    [{ targets: "http://a" }, /targets: list 1 to 1000/],
    [{ targets: ["a:80"] }, /"a:80" is no address/],
    [{ targets: ["ftp://a"] }, /is no address/],
    [{ targets: [{}] }, /undefined is no address/],
    [{ targets: ["http://a/b"] }, /leave out path, query and password/],
    [{ targets: ["http://u:p@a"] }, /leave out path, query and password/],
    [{ targets: ["http://a", "http://a:80/"] }, /http:\/\/a is listed twice/],
    [{ targets: [{ url: "http://a", weight: 0 }] }, /weight: 0 cannot be/],
    [{ ...good, balanced: "p2c" }, /there is no "balanced"; there are targets, balance/],
    [{ ...good, balance: "random" }, /balance: "random" cannot be; write one of p2c, round-robin/],
    [{ ...good, slowStart: "soon" }, /slowStart: "soon" cannot be; write a duration/],
    [{ ...good, health: { path: "healthz" } }, /health\.path: write a path/],
    [{ ...good, health: { interval: "1s" } }, /health\.path/],
    [{ ...good, health: { path: "/", interval: "1ms" } }, /health\.interval/],
    [{ ...good, health: "yes" }, /health: this is no object/],
    [{ ...good, outliers: { panic: 2 } }, /outliers\.panic: 2 cannot be; write a number from 0 to 1/],
    [{ ...good, outliers: { consecutiveFailures: 0.5 } }, /outliers\.consecutiveFailures/],
    [{ ...good, retry: { statuses: [200] } }, /retry\.statuses: write a list of statuses from 400/],
    [{ ...good, retry: { statuses: 500 } }, /retry\.statuses/],
    [{ ...good, retry: { attempts: 11 } }, /retry\.attempts: 11 cannot be; write a whole number from 1 to 10/],
    [{ ...good, retry: false, hedge: { after: "50ms" } }, /hedge: it needs the budget of retry/],
    [{ ...good, hedge: { after: 0 } }, /hedge\.after/],
    [{ ...good, breaker: { openFor: -1 } }, /breaker\.openFor/],
    [{ ...good, limits: { requests: "many" } }, /limits\.requests/],
    [{ ...good, limits: { answerBody: "big" } }, /limits\.answerBody: "big" cannot be; write a size/],
    [{ ...good, limits: { body: 1 } }, /limits: there is no "body"/],
    [{ ...good, host: "mine" }, /host: "mine" cannot be/],
    [{ ...good, tls: { cert: "x" } }, /"tls" needs "cert" and "key" together/],
    [{ ...good, egress: { allow: ["a b"] } }, /"a b" in "allow" is no host/],
  ];
  for (const [options, says] of wrong) {
    test(`${JSON.stringify(options)} stop the start`, () => assert.match(problemsOf(options).join("\n"), says));
  }

  test("tell of everything that is wrong at once", () => {
    const problems = problemsOf({ targets: ["x"], balance: "x", limits: { requests: 0 } });
    assert.equal(problems.length, 3);
    assert.ok(problems.every((problem) => problem.startsWith('upstream "shop": ')));
  });
});
