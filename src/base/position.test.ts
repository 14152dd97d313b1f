import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { anonymous, CallScope } from "./call.ts";
import { Position, placeUnknown } from "./position.ts";

describe("a position", () => {
  test("only grows", () => {
    const position = new Position();
    position.advance("a", 5n);
    position.advance("a", 3n);
    assert.equal(position.at("a"), 5n);
    assert.equal(position.version, 1);
    position.advance("a", 0x1_0000_0000n);
    assert.equal(position.token, "a:100000000");
  });

  test("travels as text, and adds up", () => {
    assert.equal(new Position().token, undefined);
    const one = new Position();
    one.advance("a1", 255n);
    one.advance("b2", 1n);
    const other = new Position();
    other.advance("b2", 2n);
    other.merge(one.token as string);
    assert.deepEqual([other.at("a1"), other.at("b2"), other.othersCurrent], [255n, 2n, false]);
    one.merge("*");
    assert.equal(one.token, "a1:ff,b2:1,*");
  });

  test("ignores what is no token", () => {
    const position = new Position();
    const wrong = ["", "a", "a:", ":1", "A:1", "a:g", "a:1,", "a:1;b:2", `a:${"1".repeat(25)}`, " a:1", "**"];
    for (const text of [...wrong, `${"a:1,".repeat(17)}a:1`, "a:1,".repeat(200)]) position.merge(text);
    assert.deepEqual([position.token, position.version], [undefined, 0]);
  });

  test("holds 16 databases, and of further ones that the primary must be asked", () => {
    const position = new Position();
    for (let i = 0; i < 20; i++) position.advance(`${"database".repeat(2).slice(2)}${10 + i}`, placeUnknown);
    assert.equal(position.at("databasedataba99"), undefined);
    assert.equal(position.othersCurrent, true);
    const token = position.token as string;
    assert.ok(token.length <= 700);
    const copy = new Position();
    copy.merge(token);
    assert.equal(copy.token, token);
  });

  test("is one for a tree of calls, and made when asked for", () => {
    const fields = { principal: anonymous, caller: "test", deadline: Number.POSITIVE_INFINITY };
    const root = new CallScope(fields);
    const leaf = root.child().child();
    assert.equal(root.knownPosition, undefined);
    leaf.position.advance("a", 1n);
    assert.equal(root.position, leaf.position);
    assert.equal(root.child().knownPosition?.at("a"), 1n);
    assert.equal(new CallScope(fields).knownPosition, undefined);
  });
});
