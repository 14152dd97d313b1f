import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { ManualClock } from "../../base/index.ts";
import { createManualClock, systemClock } from "../../base/index.ts";
import { createHttpFetcher } from "../../http/index.ts";
import type { IssuerOptions } from "../../identity/index.ts";
import { issuer } from "../../identity/index.ts";
import type { TestIssuer } from "../../identity/testing.ts";
import { startIssuer, testIdentity } from "../../identity/testing.ts";
import { t } from "../../schema/index.ts";
import { method } from "../../service/index.ts";
import { ask, request, testGateway } from "../testing.ts";

/** A gateway before an issuer on a real port, and a clock that is moved by hand. */
interface Stage {
  readonly remote: TestIssuer;
  readonly clock: ManualClock;
  /** Status, Retry-After and reason of a request with this token. */
  ask(token: string): Promise<readonly [number, string | undefined, string | undefined]>;
}

async function stage(context: TestContext, options: Partial<IssuerOptions> = {}): Promise<Stage> {
  const clock = createManualClock(1_790_000_000_000);
  const remote = await startIssuer({ now: () => clock.wallNow(), path: "/tenant" });
  const fetcher = createHttpFetcher({ clock: systemClock, egress: { allow: ["127.0.0.1"] } });
  const authenticator = testIdentity(
    undefined,
    clock,
    { issuers: [issuer({ url: remote.url, audience: "shop", ...options })] },
    { fetchJson: fetcher.getJson },
  );
  const known = method({ http: "GET /known", response: t.Object({}) });
  const gateway = testGateway({ known: { method: known, handle: () => ({}) } }, { authenticator });
  context.after(async () => {
    await gateway.stop();
    await remote.stop();
  });
  const { port } = await gateway.start();
  return {
    remote,
    clock,
    async ask(token) {
      const answer = await ask(port, request("GET /known", { Authorization: `Bearer ${token}`, Connection: "close" }));
      const reason = answer.status === 200 ? undefined : (JSON.parse(answer.body) as { reason: string }).reason;
      return [answer.status, answer.headers["retry-after"], reason];
    },
  };
}

const good = [200, undefined, undefined];
const invalid = [401, undefined, "TOKEN_INVALID"];
const unavailable = [503, "5", "ISSUER_UNAVAILABLE"];
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

test("issuer down from the start: 503 with Retry-After, and good as soon as it is back", async (context) => {
  const { remote, clock, ask } = await stage(context);
  remote.state.isDown = true;
  assert.deepEqual(await ask(await remote.sign()), unavailable);
  const tried = remote.requests.length;
  for (let i = 0; i < 20; i++) assert.deepEqual(await ask(await remote.sign({ jti: String(i) })), unavailable);
  assert.equal(remote.requests.length, tried, "it is asked again only after a while");
  // What is wrong by itself is not made better by that.
  assert.deepEqual(await ask(await remote.sign({ aud: "another" })), invalid);
  remote.state.isDown = false;
  assert.deepEqual(await ask(await remote.sign()), unavailable);
  await clock.advance(5000);
  assert.deepEqual(await ask(await remote.sign()), good);
});

test("issuer down later: known keys are used for a day, then never", async (context) => {
  const { remote, clock, ask } = await stage(context);
  assert.deepEqual(await ask(await remote.sign()), good);
  remote.state.isDown = true;
  await clock.advance(23 * hourMs);
  assert.deepEqual(await ask(await remote.sign()), good);
  assert.deepEqual(await ask(await remote.sign({}, { kid: "made-up" })), invalid);
  await clock.advance(hourMs + 11 * minuteMs);
  assert.equal((await ask(await remote.sign()))[0], 503);
  remote.state.isDown = false;
  await clock.advance(5000);
  assert.deepEqual(await ask(await remote.sign()), good);
});

test("issuer down, with stale keys turned off: 503 as soon as a set is ten minutes old", async (context) => {
  const { remote, clock, ask } = await stage(context, { staleKeys: "0s" });
  assert.deepEqual(await ask(await remote.sign()), good);
  remote.state.isDown = true;
  await clock.advance(9 * minuteMs);
  assert.deepEqual(await ask(await remote.sign()), good);
  await clock.advance(minuteMs);
  assert.deepEqual(await ask(await remote.sign()), unavailable);
  remote.state.isDown = false;
  await clock.advance(5000);
  assert.deepEqual(await ask(await remote.sign()), good);
});

test("key rotated: a new one is fetched when a token names it, the old one holds until it is gone", async (context) => {
  const { remote, clock, ask } = await stage(context);
  const old = await remote.sign();
  assert.deepEqual(await ask(old), good);
  await clock.advance(minuteMs);
  await remote.rotate();
  assert.deepEqual(await ask(await remote.sign()), good);
  assert.deepEqual(await ask(old), good);
  await remote.rotate(true);
  await clock.advance(minuteMs);
  // Fetching the newest finds the old ones gone: what was remembered of them is forgotten.
  assert.deepEqual(await ask(await remote.sign()), good);
  assert.deepEqual(await ask(old), invalid);
});

test("key rotated: ids that are made up fetch nothing more than once in 30 s, and keep nobody out", async (context) => {
  const { remote, clock, ask } = await stage(context);
  assert.deepEqual(await ask(await remote.sign()), good);
  await clock.advance(minuteMs);
  const before = remote.requests.length;
  const forged = await Promise.all(Array.from({ length: 50 }, (_, i) => remote.sign({}, { kid: `made-up-${i}` })));
  const answers = await Promise.all(forged.map(ask));
  assert.ok(answers.every(([status]) => status === 401));
  assert.equal(remote.requests.length - before, 2, "metadata and keys, once");
  assert.deepEqual(await ask(await remote.sign()), good);
});

test("many who come at once wait for one fetch", async (context) => {
  const { remote, ask } = await stage(context);
  const tokens = await Promise.all(Array.from({ length: 30 }, (_, i) => remote.sign({ jti: String(i) })));
  assert.ok((await Promise.all(tokens.map(ask))).every(([status]) => status === 200));
  assert.equal(remote.requests.length, 2);
});

test("a set that is ten minutes old is fetched behind the requests that use it", async (context) => {
  const { remote, clock, ask } = await stage(context);
  assert.deepEqual(await ask(await remote.sign()), good);
  await clock.advance(11 * minuteMs);
  remote.state.isDown = true;
  assert.deepEqual(await ask(await remote.sign()), good);
  for (let i = 0; i < 500 && remote.requests.length === 2; i++) await systemClock.sleep(10);
  assert.ok(remote.requests.length > 2);
});

test("clock off: five seconds are borne, more are not, and a wider leeway can be declared", async (context) => {
  const { remote, clock, ask } = await stage(context);
  const now = clock.wallNow() / 1000;
  // The issuer's clock goes ahead, or behind.
  assert.deepEqual(await ask(await remote.sign({ iat: now + 4, nbf: now + 4, exp: now + 300 })), good);
  assert.deepEqual(await ask(await remote.sign({ iat: now + 10, exp: now + 300 })), invalid);
  assert.deepEqual(await ask(await remote.sign({ iat: now - 300, exp: now - 4 })), good);
  assert.deepEqual(await ask(await remote.sign({ iat: now - 300, exp: now - 6 })), [401, undefined, "TOKEN_EXPIRED"]);
  const wide = await stage(context, { leeway: "60s" });
  assert.deepEqual(await wide.ask(await wide.remote.sign({ iat: now + 50, exp: now + 300 })), good);
  assert.deepEqual(await wide.ask(await wide.remote.sign({ iat: now + 70, exp: now + 300 })), invalid);
});

test("metadata that speaks for another is not used, nor what is no metadata, nor a redirect", async (context) => {
  const { remote, clock, ask } = await stage(context);
  const { metadata } = remote.state;
  const bad: readonly Record<string, unknown>[] = [
    { ...metadata, issuer: `${metadata.issuer}/` },
    { ...metadata, issuer: "https://evil.example" },
    { ...metadata, issuer: undefined },
    { issuer: metadata.issuer },
    { ...metadata, jwks_uri: "http://keys.example.org/jwks" },
    { ...metadata, jwks_uri: "file:///etc/passwd" },
    { ...metadata, jwks_uri: "https://user:secret@127.0.0.1/jwks" },
  ];
  for (const each of bad) {
    remote.state.metadata = each;
    assert.equal((await ask(await remote.sign()))[0], 503, JSON.stringify(each));
    await clock.advance(5000);
  }
  remote.state.metadata = metadata;
  for (const status of [302, 307, 404, 500]) {
    remote.state.status = status;
    assert.equal((await ask(await remote.sign()))[0], 503, String(status));
    await clock.advance(5000);
  }
  remote.state.status = 200;
  assert.deepEqual(await ask(await remote.sign()), good);
});
