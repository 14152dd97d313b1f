import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createMemoryLimits } from "../limits/index.ts";
import { createFaultyLimits } from "../limits/testing.ts";
import { method } from "../service/index.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import type { QuotaFixture } from "./rate-limit.fixture.ts";
import { fakeAuthenticator, quotasOf } from "./rate-limit.fixture.ts";
import { ask, request, testGateway } from "./testing.ts";

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
  const from = async (authorization: string | undefined, address?: string) =>
    ask(
      port,
      request("GET /locked", {
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
