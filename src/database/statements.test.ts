import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTransactionControl, splitStatements, withoutLeadingComments } from "./statements.ts";

describe("splitting SQL text", () => {
  const cases: [string, string[]][] = [
    ["", []],
    [" ; ;; -- nothing\n /* nor here */ ", []],
    ["select 1; select 2", ["select 1", "select 2"]],
    ["select ';' ; select \"a;b\"", ["select ';'", 'select "a;b"']],
    ["select 'it''s; fine'; select 2", ["select 'it''s; fine'", "select 2"]],
    [String.raw`select e'\';' ; select 2`, [String.raw`select e'\';'`, "select 2"]],
    ["select 1 -- one; two\n; select 2", ["select 1 -- one; two", "select 2"]],
    ["select /* a; /* nested; */ b; */ 1; select 2", ["select /* a; /* nested; */ b; */ 1", "select 2"]],
    ["do $$ begin perform 1; end $$; select 2", ["do $$ begin perform 1; end $$", "select 2"]],
    ["do $body$ select '$$;'; $body$; select 2", ["do $body$ select '$$;'; $body$", "select 2"]],
    ["select $1; select a$b$c; select 3", ["select $1", "select a$b$c", "select 3"]],
    [
      "create function f() returns int begin atomic select 1; select case when true then 1 else 2 end; end; select 2",
      [
        "create function f() returns int begin atomic select 1; select case when true then 1 else 2 end; end",
        "select 2",
      ],
    ],
    ["select 'never closed; really", ["select 'never closed; really"]],
    ["select 1; /* never closed;", ["select 1"]],
  ];
  for (const [text, statements] of cases) {
    test(`finds ${statements.length} in ${JSON.stringify(text)}`, () =>
      assert.deepEqual(splitStatements(text), statements));
  }

  test("knows what opens or ends a transaction, behind comments too", () => {
    for (const text of ["begin", "COMMIT", "-- x\n/* y */ start  transaction", "rollback", "end", "abort"]) {
      assert.ok(isTransactionControl(text), text);
    }
    for (const text of ["create table commit_log ()", "rollback to savepoint a", "savepoint a", "beginning"]) {
      assert.ok(!isTransactionControl(text), text);
    }
    assert.equal(withoutLeadingComments("/* a */ -- b\n select 1"), "select 1");
  });
});
