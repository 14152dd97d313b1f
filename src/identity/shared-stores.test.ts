import assert from "node:assert/strict";
import { test } from "node:test";
import type { Principal } from "../base/index.ts";
import { createManualClock, systemClock } from "../base/index.ts";
import { createMemoryCache } from "../cache/index.ts";
import { createFaultyCache } from "../cache/testing.ts";
import type { VerifiedClaims } from "./claims.ts";
import { issuer } from "./issuer.ts";
import { memoryReplayStore, sharedReplayStore } from "./replay-store.ts";
import type { RevocationStore } from "./revocation.ts";
import { memoryRevocationStore, sharedRevocationStore } from "./revocation.ts";
import { createSharedEngine } from "./shared-engine.ts";
import { startIssuer, testIdentity } from "./testing.ts";
import { createTokenIssuer } from "./token-issuer.ts";
import { createTokenKeys, generateTokenSecret } from "./token-keys.ts";

const minuteMs = 60_000;
const user: Principal = { kind: "user", subject: "u1", scopes: [], claims: {} };
const claimsOf = (changes: Partial<VerifiedClaims> = {}): VerifiedClaims => ({
  principal: user,
  issuer: "shop",
  expiresAt: Number.POSITIVE_INFINITY,
  issuedAt: 1_700_000_000_000,
  tokenId: "t1",
  confirmation: undefined,
  ...changes,
});

/** Two processes on one engine that can be made to fail. */
async function pair(clock = systemClock) {
  const faulty = createFaultyCache(createMemoryCache({ clock }), { clock });
  await faulty.open();
  const errors: unknown[] = [];
  const engineOf = () => createSharedEngine({ driver: faulty, clock, onError: (thrown) => errors.push(thrown) });
  return { faulty, errors, engines: [engineOf(), engineOf()] as const };
}

test("in one process an id is used once, for as long as its time", async () => {
  const clock = createManualClock();
  const replays = memoryReplayStore(clock);
  assert.equal(await replays.firstUse("key", "a", minuteMs), true);
  for (let i = 0; i < 59; i++) {
    assert.equal(await replays.firstUse("key", "a", minuteMs), false, `after ${i} s`);
    await clock.advance(1000);
  }
  await clock.advance(2 * minuteMs);
  assert.equal(await replays.firstUse("key", "a", minuteMs), true);
});

test("an id that comes just before a turn is still known after it", async () => {
  const clock = createManualClock();
  const replays = memoryReplayStore(clock);
  await replays.firstUse("key", "first", minuteMs);
  await clock.advance(minuteMs - 1);
  assert.equal(await replays.firstUse("key", "late", minuteMs), true);
  await clock.advance(minuteMs - 1);
  assert.equal(await replays.firstUse("key", "late", minuteMs), false);
});

test("a memory that is full refuses, and forgets nothing", async () => {
  const replays = memoryReplayStore(createManualClock(), 2);
  assert.equal(await replays.firstUse("key", "a", minuteMs), true);
  assert.equal(await replays.firstUse("key", "b", minuteMs), true);
  await assert.rejects(replays.firstUse("key", "c", minuteMs), { code: "unavailable", reason: "PROOF_STORE_FULL" });
  assert.equal(await replays.firstUse("key", "a", minuteMs), false);
});

test("one key cannot take the places of the others, and gets its own back with time", async () => {
  const clock = createManualClock();
  const replays = memoryReplayStore(clock, 100, 3);
  for (const id of ["a", "b", "c"]) assert.equal(await replays.firstUse("greedy", id, minuteMs), true);
  await assert.rejects(replays.firstUse("greedy", "d", minuteMs), { reason: "PROOF_STORE_FULL" });
  assert.equal(await replays.firstUse("greedy", "a", minuteMs), false);
  assert.equal(await replays.firstUse("other", "a", minuteMs), true);
  // After one turn they still count.
  await clock.advance(minuteMs);
  await assert.rejects(replays.firstUse("greedy", "d", minuteMs), { reason: "PROOF_STORE_FULL" });
  await clock.advance(minuteMs);
  assert.equal(await replays.firstUse("greedy", "d", minuteMs), true);
});

test("what one process has seen is used for all, also at the same moment", async () => {
  const { engines } = await pair();
  const [one, two] = engines.map((engine) => sharedReplayStore(engine, systemClock));
  assert.ok(one && two);
  assert.equal(await one.firstUse("key", "a", minuteMs), true);
  assert.equal(await two.firstUse("key", "a", minuteMs), false);
  for (let i = 0; i < 50; i++) {
    const both: boolean[] = await Promise.all([
      one.firstUse("key", `id${i}`, minuteMs),
      two.firstUse("key", `id${i}`, minuteMs),
    ]);
    assert.deepEqual([...both].sort(), [false, true]);
  }
});

test("while the engine is away each process knows what it saw itself, and waits for nothing", async () => {
  const clock = createManualClock();
  const { engines, faulty, errors } = await pair(clock);
  const [one, two] = engines.map((engine) => sharedReplayStore(engine, clock));
  assert.ok(one && two);
  Object.assign(faulty.faults, { errorRate: 1 });
  assert.equal(await one.firstUse("key", "a", minuteMs), true);
  assert.equal(await one.firstUse("key", "a", minuteMs), false);
  assert.equal(await two.firstUse("key", "a", minuteMs), true);
  assert.equal(errors.length, 2);
  const asked = faulty.operationCount;
  assert.equal(await one.firstUse("key", "b", minuteMs), true);
  assert.equal(faulty.operationCount, asked, "for a second it is not asked again");
  Object.assign(faulty.faults, { errorRate: 0, hang: true });
  await clock.advance(1001);
  const waiting = one.firstUse("key", "c", minuteMs);
  await clock.advance(300);
  assert.equal(await waiting, true);
});

test("a token is taken back by its id, and a subject's tokens by the time they were made", async () => {
  const clock = createManualClock();
  const { engines } = await pair(clock);
  for (const store of [memoryRevocationStore(clock), sharedRevocationStore(engines[0], clock)]) {
    let heard = 0;
    store.onRevoked = () => heard++;
    assert.equal(await store.has(claimsOf()), false);
    await store.add({ issuer: "shop", tokenId: "t1" });
    assert.equal(await store.has(claimsOf()), true);
    assert.equal(await store.has(claimsOf({ tokenId: "t2" })), false);
    assert.equal(await store.has(claimsOf({ tokenId: undefined })), false);
    assert.equal(await store.has(claimsOf({ issuer: "https://a.example" })), false);
    await store.add({ issuer: "shop", subject: "u1", before: 1_700_000_000_000 });
    assert.equal(await store.has(claimsOf({ tokenId: "t2" })), true);
    assert.equal(await store.has(claimsOf({ tokenId: "t2", issuedAt: 1_700_000_001_000 })), false);
    await store.add({ issuer: "shop", subject: "u1", before: 1_600_000_000_000 });
    assert.equal(await store.has(claimsOf({ tokenId: "t2" })), true, "the later one holds");
    assert.equal(heard, 3);
  }
  const other = sharedRevocationStore(engines[1], clock);
  assert.equal(await other.has(claimsOf({ tokenId: "t2" })), true, "the later one holds for the others too");
});

test("a revocation is kept for longer than a token lives, and no longer", async () => {
  const clock = createManualClock();
  const store = memoryRevocationStore(clock);
  await store.add({ issuer: "shop", tokenId: "t1" });
  await clock.advance(24 * 60 * minuteMs);
  assert.equal(await store.has(claimsOf()), true);
  await clock.advance(61 * minuteMs);
  assert.equal(await store.has(claimsOf()), false);
});

test("when no more revocations can be kept, none is forgotten, and those whose time is over make room", async () => {
  const clock = createManualClock();
  const store = memoryRevocationStore(clock, minuteMs, 2);
  await store.add({ issuer: "shop", tokenId: "t1" });
  await store.add({ issuer: "shop", tokenId: "t2" });
  await assert.rejects(store.add({ issuer: "shop", tokenId: "t3" }), { reason: "REVOCATIONS_FULL" });
  assert.equal(await store.has(claimsOf()), true);
  await clock.advance(minuteMs);
  await store.add({ issuer: "shop", tokenId: "t3" });
  assert.equal(await store.has(claimsOf({ tokenId: "t3" })), true);
});

test("a revocation that the others cannot be told is refused, and holds here", async () => {
  const { engines, faulty } = await pair();
  const [one, two] = engines.map((engine) => sharedRevocationStore(engine, systemClock));
  assert.ok(one && two);
  await one.add({ issuer: "shop", tokenId: "t0" });
  assert.equal(await two.has(claimsOf({ tokenId: "t0" })), true);
  Object.assign(faulty.faults, { errorRate: 1 });
  await assert.rejects(one.add({ issuer: "shop", tokenId: "t1" }), { reason: "REVOCATION_NOT_SHARED" });
  assert.equal(await one.has(claimsOf()), true);
  assert.equal(await two.has(claimsOf({ tokenId: "t9" })), false, "an engine that is away keeps nobody out");
});

test("a remembered token that another process takes back is refused within five seconds", async () => {
  const clock = createManualClock();
  const { engines, faulty } = await pair(clock);
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const [here, there] = engines.map((engine) => sharedRevocationStore(engine, clock));
  assert.ok(here && there);
  const issuerOf = (revocations: RevocationStore) =>
    createTokenIssuer({ keys, issuer: "shop", audience: "shop", clock, revocations });
  const gateway = testIdentity({ name: "shop", keys }, clock, {}, { revocations: there });
  const { token, id } = await issuerOf(here).issue({ subject: "ada" });
  const header = `Bearer ${token}`;
  await gateway.verify(header);
  assert.ok(gateway.recall(header));
  await issuerOf(here).revoke({ id });
  await clock.advance(4999);
  assert.ok(gateway.recall(header));
  await clock.advance(1);
  assert.equal(gateway.recall(header), undefined, "it must be asked again");
  await assert.rejects(gateway.verify(header), { reason: "TOKEN_INVALID" });

  const good = `Bearer ${(await issuerOf(here).issue({ subject: "bob" })).token}`;
  await gateway.verify(good);
  await clock.advance(5000);
  assert.equal(gateway.recall(good), undefined);
  const asked = faulty.operationCount;
  await gateway.verify(good);
  assert.equal(faulty.operationCount, asked + 1, "one question, and no signature");
  assert.ok(gateway.recall(good));
  await issuerOf(there).revoke({ subject: "bob" });
  assert.equal(gateway.recall(good), undefined, "in the same process it holds at once");
  await assert.rejects(gateway.verify(good), { reason: "TOKEN_INVALID" });
  await assert.rejects(createTokenIssuer({ keys, issuer: "shop", audience: "shop" }).revoke({ id }), {
    reason: "REVOCATION_UNHEARD",
  });
});

test("a token of another issuer is taken back by that issuer's name", async () => {
  const clock = createManualClock(1_790_000_000_000);
  const remote = await startIssuer({ now: () => clock.wallNow() });
  const revocations = memoryRevocationStore(clock);
  const keys = await createTokenKeys({ secret: generateTokenSecret() });
  const trusted = issuer({ url: remote.url, audience: "shop", keys: { keys: remote.state.keys }, typ: "any" });
  const gateway = testIdentity({ name: "shop", keys }, clock, { issuers: [trusted] }, { revocations });
  const tokens = createTokenIssuer({ keys, issuer: "shop", audience: "shop", clock, revocations });
  const [dated, undated] = [
    `Bearer ${await remote.sign()}`,
    `Bearer ${await remote.sign({ iat: undefined, jti: "2" })}`,
  ];
  await gateway.verify(dated);
  await gateway.verify(undated);
  await tokens.revoke({ subject: "u1" });
  await gateway.verify(dated);
  await tokens.revoke({ subject: "u1", issuer: remote.url });
  await assert.rejects(gateway.verify(dated), { reason: "TOKEN_INVALID" });
  await assert.rejects(gateway.verify(undated), { reason: "TOKEN_INVALID" }, "it may be older than that");
  await clock.advance(2000);
  await gateway.verify(`Bearer ${await remote.sign({ jti: "3" })}`);
  await remote.stop();
});
