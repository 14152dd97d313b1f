import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../../base/index.ts";
import { testGateway } from "../testing.ts";
import { plainUpstream } from "./proxy.fixture.ts";
import type { OutsideRoute } from "./route.ts";

const base = { path: "/legacy/*", upstream: "legacy", access: "public" } as const;
const upstreams = new Map([["legacy", plainUpstream("legacy", "http://127.0.0.1:1")]]);

for (const [what, route, message] of [
  ["a path without a slash", { ...base, path: "legacy" }, /path: it begins with "\/"/],
  ["a path with a parameter", { ...base, path: "/legacy/:id" }, /path: it begins with "\/"/],
  ["a wildcard in the middle", { ...base, path: "/a/*/b" }, /path: it begins with "\/"/],
  ["no target", { path: "/a", access: "public" }, /write one of upstream, split and redirect/],
  ["two targets", { ...base, redirect: { to: "/x" } }, /write one of upstream, split and redirect/],
  ["no methods", { ...base, methods: [] }, /methods: name at least one/],
  ["a method that cannot pass", { ...base, methods: ["TRACE"] }, /methods: TRACE cannot be passed on/],
  ["an access that is none", { ...base, access: "open" }, /access: this is no access rule/],
  [
    "passed credentials without public",
    { ...base, access: "authenticated", authorization: "pass" },
    /writes access: "public"/,
  ],
  ["strip and rewrite", { ...base, strip: true, rewrite: "/x" }, /strip and rewrite exclude each other/],
  [
    "a rewrite that is no path",
    { ...base, rewrite: "http://evil.example" },
    /rewrite: "http:\/\/evil\.example" is no path/,
  ],
  [
    "a redirect over plain HTTP",
    { path: "/a/*", redirect: { to: "http://a.example/*" }, access: "public" },
    /redirect\.to/,
  ],
  [
    "a redirect with a script",
    { path: "/a", redirect: { to: "javascript:alert(1)" }, access: "public" },
    /redirect\.to/,
  ],
  ["a star without a wildcard", { path: "/a", redirect: { to: "/b/*" }, access: "public" }, /a "\*" needs a path/],
  [
    "a status that is no redirect",
    { path: "/a", redirect: { to: "/b", status: 200 }, access: "public" },
    /redirect\.status: 200/,
  ],
  [
    "a WebSocket for every page",
    { ...base, websocket: { origins: ["*"] } },
    /websocket\.origins: "\*" is no exact origin/,
  ],
  ["a WebSocket without origins", { ...base, websocket: {} }, /websocket\.origins: list the pages/],
  ["a deadline of nothing", { ...base, deadline: "0s" }, /deadline: "0s" cannot be/],
  ["a size that is none", { ...base, bodyLimit: "big" }, /bodyLimit: "big" cannot be/],
  ["no streams at all", { ...base, streams: { count: 0 } }, /streams\.count/],
  ["an upstream that is not there", { ...base, upstream: "other" }, /upstream: there is no "other"; there are legacy/],
  [
    "a split that is not there",
    { path: "/a", split: "other", access: "public" },
    /split: there is no "other"; there are none/,
  ],
  ["a mirror to nowhere", { ...base, mirror: { to: "other", percent: 5 } }, /mirror\.to: there is no upstream "other"/],
  ["a mirror of more than all", { ...base, mirror: { to: "legacy", percent: 500 } }, /mirror\.percent: 500/],
] as const) {
  test(`refuses at start ${what}`, () => {
    assert.throws(
      () => testGateway({}, { outside: { upstreams, routes: [route as unknown as OutsideRoute] } }),
      (thrown) => {
        assert.ok(thrown instanceof StartError);
        assert.match(thrown.message, message);
        return true;
      },
    );
  });
}

test("refuses at start two routes of one name, and a split of one", () => {
  const routes: OutsideRoute[] = [
    { ...base, name: "a" },
    { ...base, path: "/b", name: "a" },
  ];
  assert.throws(() => testGateway({}, { outside: { upstreams, routes } }), /two routes have this name/);
  const splits = {
    one: { between: ["legacy"], weights: { legacy: 1 } },
    other: { between: ["legacy", "gone"], weights: { legacy: 1 } },
  };
  assert.throws(
    () => testGateway({}, { outside: { upstreams, splits } }),
    /name two or more upstreams[\s\S]*there is no upstream "gone"/,
  );
});
