import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { repository, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-gateway-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const fronting = `${repository}src/cli/fixtures/fronting/app.ts`;
const check = (content: unknown, ...more: string[]) => {
  const file = join(folder, "gateway.json");
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return run(["gateway", "check", file, "--app", fronting, ...more], { environment: { NODE_ENV: "test" } });
};

test("says that a file would be taken", async () => {
  const { code, out } = await check({ splits: { main: { weights: { stable: 9, canary: 1 } } } });
  assert.deepEqual([code, out.endsWith("gateway.json: the gateway would take it.\n")], [0, true]);
});

for (const [what, content, path] of [
  ["no JSON", "{ splits: 1 }", 'line 1, column 3: this is no JSON; expected a name in double quotes or "}"'],
  ["no object", "[]", "the file is no object"],
  ["a field that there is not", { acces: {} }, "acces: there is no such field here"],
  ["access", { routes: { "/main/*": { access: "public" } } }, "routes: there is no such field here"],
  [
    "a variant that there is not",
    { splits: { main: { weights: { other: 1 } } } },
    "splits.main.weights.other: there is no such variant",
  ],
  [
    "only weights of 0",
    { splits: { main: { weights: { stable: 0 } } } },
    "splits.main.weights: one at least must be above 0",
  ],
  [
    "a weight that is none",
    { splits: { main: { weights: { stable: "9" } } } },
    'splits.main.weights.stable: "9" is no number',
  ],
  ["a split that there is not", { splits: { man: { weights: {} } } }, 'splits: there is no "man"; there are main'],
  [
    "a rule for a secret",
    { splits: { main: { weights: { stable: 1 }, match: [{ header: "Authorization", to: "canary" }] } } },
    "splits.main.match[0].header",
  ],
  [
    "a rule for nothing",
    { splits: { main: { weights: { stable: 1 }, match: [{ to: "canary" }] } } },
    "splits.main.match[0]: write one of header and cookie",
  ],
  ["a target with a path", { upstreams: { stable: { targets: ["http://a/b"] } } }, "upstreams.stable.targets[0].url"],
  [
    "a target of another kind",
    { upstreams: { stable: { targets: ["file:///etc/passwd"] } } },
    "upstreams.stable.targets[0].url",
  ],
  ["no targets", { upstreams: { stable: { targets: [] } } }, "upstreams.stable.targets: name at least one"],
  [
    "a weight out of bounds",
    { upstreams: { stable: { targets: [{ url: "http://a", weight: 0 }] } } },
    "upstreams.stable.targets[0].weight: 0 is no number from 1 to 1000",
  ],
  [
    "other options of an upstream",
    { upstreams: { stable: { targets: ["http://a"], tls: {} } } },
    "upstreams.stable.tls: there is no such field",
  ],
  [
    "a mirror to nowhere",
    { mirrors: { main: { to: "nowhere", percent: 5 } } },
    "mirrors.main.to: there is no upstream",
  ],
  [
    "a mirror of too much",
    { mirrors: { main: { to: "canary", percent: 101 } } },
    "mirrors.main.percent: 101 is no number from 0 to 100",
  ],
  [
    "maintenance of nothing",
    { maintenance: { routes: ["other"] } },
    'maintenance.routes: there is no "other"; there are main',
  ],
  ["maintenance without a time", { maintenance: { retryAfter: "soon" } }, "maintenance.retryAfter"],
  ["a plan that there is not", { plans: { gold: [] } }, 'plans: there is no "gold"; there are free'],
  [
    "a plan that counts otherwise",
    { plans: { free: [{ quota: 1, window: "1m", by: "tenant" }] } },
    'counts by "tenant"',
  ],
  ["a plan that is none", { plans: { free: [{ quota: -1, window: "1m" }] } }, "plans.free"],
] as const) {
  test(`refuses ${what}, with its path`, async () => {
    const { code, out } = await check(content);
    assert.equal(code, 1);
    assert.ok(out.includes(path), `${path} in ${out}`);
  });
}

test("tells every problem at once, as data where that is asked for", async () => {
  const { code, out } = await check(
    { splits: { main: { weights: { stable: -1 } } }, mirrors: { x: null }, nothing: 1 },
    "--json",
  );
  assert.deepEqual([code, JSON.parse(out).problems.length >= 2], [1, true]);
});

test("another topic, and a file that is not there, are said to be so", async () => {
  assert.match((await run(["gateway", "chekc", "a", "--app", fronting])).err, /there is no such topic; there is check/);
  assert.match((await run(["gateway", "check", join(folder, "none"), "--app", fronting])).err, /it cannot be read/);
});
