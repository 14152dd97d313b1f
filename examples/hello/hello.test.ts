import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { startTestApp, type TestApp } from "plinth/testing";
import hello from "./app.ts";

describe("hello", () => {
  let running: TestApp;
  before(async () => {
    running = await startTestApp(hello);
  });
  after(() => running.stop());

  it("greets by name, whatever the letters", async () => {
    for (const name of ["Ada", "Grüße & mehr", "世界"]) {
      const response = await fetch(`${running.url}/hello/${encodeURIComponent(name)}`);
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { greeting: `Hello, ${name}!` });
    }
  });

  it("refuses what its twenty lines do not say a word about, because the schema does", async () => {
    const tooLong = await fetch(`${running.url}/hello/${"x".repeat(51)}`);
    assert.equal(tooLong.status, 422);
    assert.match(tooLong.headers.get("content-type") ?? "", /^application\/problem\+json/);
    assert.equal((await fetch(`${running.url}/hello/Ada`, { method: "POST" })).status, 405);
    assert.equal((await fetch(`${running.url}/goodbye`)).status, 404);
  });

  it("is twenty lines of code at most", () => {
    const lines = readFileSync(new URL("./app.ts", import.meta.url), "utf8").split("\n");
    assert.ok(lines.filter((line) => line.trim() !== "").length <= 20);
  });
});
