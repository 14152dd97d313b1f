import assert from "node:assert/strict";
import { test } from "node:test";
import type { Principal } from "../base/index.ts";
import { createManualClock } from "../base/index.ts";
import type { VerifiedClaims } from "./claims.ts";
import { TokenMemory } from "./token-memory.ts";

const principal: Principal = { kind: "user", subject: "u", scopes: [], claims: {} };
const claims: VerifiedClaims = {
  principal,
  issuer: "shop",
  expiresAt: Number.POSITIVE_INFINITY,
  issuedAt: 0,
  tokenId: undefined,
  confirmation: undefined,
};
const token = (i: number) => `Bearer ${String(i).padStart(40, "0")}`;

test("what is remembered no longer takes no memory, however much there would be room for", async () => {
  const clock = createManualClock();
  const memory = new TokenMemory(clock, 1000, 10_000);
  for (let i = 0; i < 300; i++) {
    await clock.advance(100);
    memory.keep(token(i), claims, 1000, memory.mark);
    assert.equal(memory.recall(token(i)), principal);
    assert.ok(memory.size <= 10, `${memory.size} are kept, although only ten came in the last second`);
  }
});

test("a token that is used is remembered for the whole of its time", async () => {
  const clock = createManualClock();
  const memory = new TokenMemory(clock, 1000, 10_000);
  memory.keep(token(0), claims, 1000, memory.mark);
  for (let i = 1; i < 10; i++) {
    await clock.advance(100);
    memory.keep(token(i), claims, 1000, memory.mark);
    assert.equal(memory.recall(token(0)), principal);
  }
  await clock.advance(100);
  assert.equal(memory.recall(token(0)), undefined);
});
