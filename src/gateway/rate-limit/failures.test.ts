import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { anonymous, createManualClock } from "../../base/index.ts";
import type { Authenticator } from "../../identity/index.ts";
import { createMemoryLimits } from "../../limits/index.ts";
import { createFaultyLimits } from "../../limits/testing.ts";
import { method } from "../../service/index.ts";
import type { Gateway, GatewayOptions } from "../gateway.ts";
import type { Mount } from "../mount.ts";
import { outsideSystem, realUpstream } from "../proxy/proxy.fixture.ts";
import { ask, request, testGateway } from "../testing.ts";
import type { QuotaFixture } from "./rate-limit.fixture.ts";
import { fakeAuthenticator, quotasOf } from "./rate-limit.fixture.ts";

const running: Gateway[] = [];
afterEach(async () => {
  for (const gateway of running.splice(0)) await gateway.stop();
});

async function open(given: QuotaFixture, more: Partial<GatewayOptions> = {}) {
  const authenticator = fakeAuthenticator();
  const locked = { method: method({ http: "GET /locked" }), handle: () => undefined };
  const gateway = testGateway({ locked }, { ...quotasOf(given), authenticator, ...more });
  running.push(gateway);
  const { port } = await gateway.start();
  const from = async (authorization: string | undefined, address?: string, path = "/locked", headers: object = {}) =>
    ask(
      port,
      request(`GET ${path}`, {
        ...headers,
        ...(authorization !== undefined && { authorization }),
        ...(address !== undefined && { "x-forwarded-for": address }),
      }),
    );
  return { authenticator, from };
}

const authFailures = { quota: 5, window: "60s" } as const;

test("who guesses is told to wait before the next guess is looked at, and may go on later", async () => {
  const clock = createManualClock();
  const { authenticator, from } = await open({ authFailures, clock });
  const statuses = [];
  for (let i = 0; i < 8; i++) statuses.push((await from(`Bearer bad-${i}`)).status);
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
  assert.equal(authenticator.verifiedCount, 5);
  const refused = await from("Bearer bad");
  assert.deepEqual(JSON.parse(refused.body)["violated-policies"], ["auth-failures"]);
  assert.ok(Number(refused.headers["retry-after"]) >= 1);
  await clock.advance(67_000);
  assert.equal((await from("Bearer bad")).status, 401);
});

test("a credential that is known to be good is taken from the same address; a new one waits", async () => {
  const { from } = await open({ authFailures });
  assert.equal((await from("Bearer ann")).status, 204);
  for (let i = 0; i < 5; i++) await from("Bearer bad");
  assert.equal((await from("Bearer ann")).status, 204);
  assert.equal((await from("Bearer bob")).status, 429);
});

test("asking without a credential is no guess", async () => {
  const { from } = await open({ authFailures });
  for (let i = 0; i < 20; i++) assert.equal((await from(undefined)).status, 401);
  assert.equal((await from("Bearer ann")).status, 204);
});

test("an address is another one for each client behind a trusted proxy, and one for an IPv6 network", async () => {
  const { from } = await open({ authFailures }, { trustedProxies: ["127.0.0.1"] });
  for (let i = 0; i < 5; i++) await from("Bearer bad", `2001:db8::${i}`);
  assert.equal((await from("Bearer bad", "2001:db8::99")).status, 429);
  assert.equal((await from("Bearer bad", "2001:db8:0:1::99")).status, 401);
  assert.equal((await from("Bearer bad", "203.0.113.1")).status, 401);
});

test("who guesses shuts out nobody behind the same address who shows no credential, or shows it to others", async (t) => {
  const legacy = await outsideSystem(t, (_req, res) => res.end("ok"));
  const upstreams = new Map([["legacy", await realUpstream(t, "legacy", legacy)]]);
  const handler: Mount["handler"] = (_req, res) => res.end("ok");
  const { from } = await open(
    { authFailures },
    {
      mounts: [{ path: "/own", access: "public", authorization: "own", handler }],
      outside: {
        upstreams,
        routes: [
          { path: "/open", upstream: "legacy", access: "public" },
          { path: "/pass", upstream: "legacy", access: "public", authorization: "pass" },
        ],
      },
    },
  );
  for (let i = 0; i < 5; i++) assert.equal((await from(`Bearer bad-${i}`)).status, 401);
  const statuses = [
    await from(undefined, undefined, "/open"),
    await from("Bearer theirs", undefined, "/pass"),
    await from("Basic theirs", undefined, "/own/a"),
    await from("Bearer bad", undefined, "/open"),
    await from(undefined),
  ].map(({ status }) => status);
  assert.deepEqual(statuses, [200, 200, 200, 429, 401]);
});

test("an API key is a guess until it was good once", async () => {
  const authenticator: Authenticator = {
    ...fakeAuthenticator(),
    apiKeyHeader: "x-api-key",
    recallKey: (key) => (key === "good" ? { ...anonymous, kind: "service", subject: "s" } : undefined),
  };
  const { from } = await open({ authFailures }, { authenticator });
  for (let i = 0; i < 5; i++) await from(`Bearer bad-${i}`);
  const withKey = async (key: string) => (await from(undefined, undefined, "/locked", { "x-api-key": key })).status;
  assert.deepEqual([await withKey("good"), await withKey("other")], [204, 429]);
});

test("a store that is down refuses nobody and fails nobody", async () => {
  for (const whenDown of ["local", "allow", "refuse"] as const) {
    const driver = createFaultyLimits(createMemoryLimits(), { faults: { errorRate: 1 } });
    const { from } = await open({ authFailures, driver, whenDown });
    const statuses = [];
    for (let i = 0; i < 8; i++) statuses.push((await from(`Bearer bad-${i}`)).status);
    const wanted = whenDown === "local" ? [401, 401, 401, 401, 401, 429, 429, 429] : new Array(8).fill(401);
    assert.deepEqual(statuses, wanted, whenDown);
    assert.equal((await from("Bearer ann")).status, whenDown === "local" ? 429 : 204, whenDown);
  }
});

test("without the limit, guesses are looked at for ever", async () => {
  const { from } = await open({});
  for (let i = 0; i < 120; i++) assert.equal((await from("Bearer bad")).status, 401);
});
