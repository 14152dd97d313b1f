import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import type { Jwks } from "./key-set.ts";
import { localKeySource } from "./key-source.ts";

const jwkOf = (kid: string) => ({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  kid,
  alg: "ES256",
});
const [first, second] = [jwkOf("k1"), jwkOf("k2")];

/** Keys behind something that may fail. */
function setUp() {
  const clock = createManualClock();
  const state = { loads: 0, keys: [first], fails: undefined as "now" | "later" | undefined };
  const keys = (): Promise<Jwks> => {
    state.loads++;
    if (state.fails === "now") throw new Error("away");
    if (state.fails === "later") return Promise.reject(new Error("away"));
    return Promise.resolve({ keys: state.keys });
  };
  const source = localKeySource(keys, ["ES256"], clock);
  const kidFor = async (kid: string) => (await source.keyFor({ kid, alg: "ES256", typ: undefined, members: {} }))?.kid;
  return { clock, state, source, kidFor };
}

test("a first load that fails is not kept: the next token asks again", async () => {
  for (const fails of ["now", "later"] as const) {
    const { state, kidFor } = setUp();
    state.fails = fails;
    await assert.rejects(kidFor("k1"), /away/);
    await assert.rejects(kidFor("k1"), /away/);
    state.fails = undefined;
    assert.equal(await kidFor("k1"), "k1");
    assert.equal(state.loads, 3);
  }
});

test("a later load that fails leaves the keys that are known, and is tried again after 5 s", async () => {
  const { clock, state, kidFor } = setUp();
  await kidFor("k1");
  state.fails = "later";
  state.keys = [first, second];
  assert.equal(await kidFor("k2"), undefined);
  assert.equal(await kidFor("k1"), "k1");
  state.fails = undefined;
  assert.equal(await kidFor("k2"), undefined);
  await clock.advance(5000);
  assert.equal(await kidFor("k2"), "k2");
  assert.equal(state.loads, 3);
});

test("made-up keys cost one load in 30 s, and those who come at once share it", async () => {
  const { clock, state, source, kidFor } = setUp();
  let goneCount = 0;
  source.onKeysGone = () => goneCount++;
  await Promise.all(Array.from({ length: 10 }, () => kidFor("k1")));
  assert.equal(state.loads, 1);
  await Promise.all(Array.from({ length: 10 }, (_, i) => kidFor(`other${i}`)));
  for (let i = 0; i < 1000; i++) assert.equal(await kidFor(`made-up${i}`), undefined);
  assert.equal(state.loads, 2);
  state.keys = [second];
  await clock.advance(29_999);
  assert.equal(await kidFor("k2"), undefined);
  await clock.advance(1);
  assert.equal(await kidFor("k2"), "k2");
  assert.deepEqual([state.loads, goneCount], [3, 1]);
});
