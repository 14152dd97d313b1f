import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock } from "../../base/index.ts";
import { PreparedStatements } from "./prepared.ts";

const setUp = () => {
  const clock = createManualClock();
  const renewal = { count: 0 };
  return { clock, renewal, prepared: new PreparedStatements(clock, renewal) };
};

describe("statements that a connection knows by name", () => {
  test("have one from the second use on, and keep it", () => {
    const { prepared } = setUp();
    const names = [1, 2, 3, 4].map(() => prepared.use("shop", "select 1").name);
    assert.equal(names[0], "");
    assert.notEqual(names[1], "");
    assert.equal(new Set(names.slice(1)).size, 1);
    assert.deepEqual(prepared.takeClosing(), []);
  });

  test("are others in another schema, where the same text means other tables", () => {
    const { prepared } = setUp();
    const twice = (schema: string) => [prepared.use(schema, "select a"), prepared.use(schema, "select a")][1]?.name;
    assert.notEqual(twice("shop"), twice("books"));
  });

  test("get another name after 30 s, and the old one is forgotten at the server, once", async () => {
    const { clock, prepared } = setUp();
    prepared.use("shop", "select 1");
    const { name } = prepared.use("shop", "select 1");
    await clock.advance(30_000);
    assert.equal(prepared.use("shop", "select 1").name, name);
    await clock.advance(1);
    assert.notEqual(prepared.use("shop", "select 1").name, name);
    assert.deepEqual([prepared.takeClosing(), prepared.takeClosing()], [[name], []]);
  });

  test("that are planned each time change their name before the server makes one plan for all", () => {
    const { prepared } = setUp();
    const text = "select 1 /* plan each time */";
    const names = Array.from({ length: 11 }, () => prepared.use("shop", text).name);
    assert.equal(new Set(names.slice(1, 6)).size, 1);
    assert.equal(new Set(names.slice(6)).size, 1);
    assert.equal(new Set(names).size, 3);
  });

  test("are 256 at most; then the older half goes", () => {
    const { prepared } = setUp();
    for (let i = 0; i < 256; i++) for (let use = 0; use < 2; use++) prepared.use("shop", `select ${i}`);
    assert.equal(prepared.takeClosing().length, 0);
    prepared.use("shop", "one more");
    assert.equal(prepared.takeClosing().length, 129);
    assert.equal(prepared.use("shop", "select 0").name, "");
    assert.notEqual(prepared.use("shop", "select 255").name, "");
  });

  test("are all forgotten when the server's tables have changed, as any connection has noticed", () => {
    const { prepared, renewal } = setUp();
    const names = ["a", "b"].map((text) => [prepared.use("shop", text), prepared.use("shop", text)][1]?.name);
    renewal.count++;
    assert.equal(prepared.use("shop", "a").name, "");
    assert.deepEqual(prepared.takeClosing(), names);
    prepared.use("shop", "a");
    prepared.forget("shop", "a");
    prepared.forget("shop", "never seen");
    assert.equal(prepared.use("shop", "a").name, "");
    assert.equal(prepared.takeClosing().length, 1);
  });
});
