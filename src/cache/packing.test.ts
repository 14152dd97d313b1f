import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { createCache } from "./cache.ts";
import { createFaultyCache } from "./faulty.ts";
import { createMemoryCache } from "./memory.ts";
import { Packing } from "./packing.ts";

const packing = new Packing({ aboveBytes: 1000, bytesMax: 1_000_000 });

for (const [name, text] of [
  ["small", "x".repeat(1000)],
  ["just too large", "x".repeat(1001)],
  ["of many bytes for each character", "名".repeat(334)],
  ["large enough for a thread", JSON.stringify(Array.from({ length: 20_000 }, (_, i) => `row ${i % 100}`))],
  ["empty", ""],
] as const) {
  test(`gives back what it packed: ${name}`, async () => {
    const packed = await packing.pack(text);
    assert.equal(packed === text, name === "small" || name === "empty");
    assert.ok(packed.length <= text.length);
    assert.equal(await packing.unpack(packed), text);
  });
}

test("leaves alone what does not become smaller", async () => {
  const noise = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(33 + ((i * i * 7919) % 94))).join("");
  const random = gzipSync(noise).toString("base64");
  assert.equal(await packing.pack(random), random);
});

test("unpacks no more than the limit, and nothing that is no packed text", async () => {
  const bomb = `\u0001g${gzipSync("0".repeat(50_000_000)).toString("base64")}`;
  assert.ok(bomb.length < 100_000);
  assert.equal(await packing.unpack(bomb), undefined);
  assert.equal(await packing.unpack("\u0001gAAAA"), undefined);
  assert.equal(await packing.unpack("\u0001g"), undefined);
});

test("takes what does not unpack for a miss, and loads it anew", async () => {
  const engine = createMemoryCache();
  const cache = createCache({ driver: createFaultyCache(engine), namespace: "n" });
  await engine.set("n", "a", "\u0001gAAAA", { ttlMs: 60_000, tags: [] });
  await engine.set("n", "b", "\u0001gAAAA", { ttlMs: 60_000, tags: [] });
  assert.equal(await cache.get("a"), undefined);
  assert.equal(await cache.getOrLoad("b", () => "loaded"), "loaded");
  assert.equal(cache.stats.corruptCount, 2);
  assert.equal(await cache.getOrLoad("b", () => "again"), "again");
  await new Promise(setImmediate);
  assert.equal(await cache.get("b"), "again");
});

test("packs for an engine outside of this process alone", async () => {
  const inside = createMemoryCache();
  const text = "x".repeat(5000);
  await createCache({ driver: inside, namespace: "n" }).set("a", text);
  assert.equal((await inside.getMany("n", ["a"]))[0]?.value, JSON.stringify(text));
  await createCache({ driver: createFaultyCache(inside), namespace: "n" }).set("a", text);
  const [found] = await inside.getMany("n", ["a"]);
  assert.ok(found && found.value.length < 500, found?.value.slice(0, 20));
});
