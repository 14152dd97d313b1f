import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mayWrite } from "./write-check.ts";

describe("a statement", () => {
  test("is cleared of writing when it is a plain query", () => {
    for (const text of [
      "select 1",
      "  -- why\n /* and how */ select * from item",
      "select count(*), coalesce(max(n), 0) from item where id in ($1, $2) and exists (select 1 from other)",
      "(select id from a) union all (select id from b) order by id limit 3",
      "with big as materialized (select id from item) select id, v.* from big as b join lateral (values (1.5)) v on true",
      "select id, name from item join price using (id) where amount > .5",
      "select row_number() over (partition by a order by b), n::numeric(10, 2) from item",
      'select "updated_at", "deleted" from "item" where "insert_count" > 3',
      "values (1), (2)",
      "show search_path",
    ]) {
      assert.equal(mayWrite(text), false, text);
      assert.equal(mayWrite(text), false, "remembered");
    }
  });

  test("is not cleared when it writes, might, or locks", () => {
    for (const text of [
      "insert into item values (1)",
      "/* select */ delete from item",
      "with gone as (delete from item returning id) select id from gone",
      "select * into other from item",
      "select id from item for update",
      "select id from item for no key update skip locked",
      "select id from item for share",
      "select charge(id) from item",
      "select charge/**/(1)",
      "select charge -- all\n (1)",
      "select item.charge from item",
      "select (item).charge from item",
      'select i . "charge" from item as i',
      "select extract(epoch from item.charge) from item",
      "select ämax(1)",
      "select ändern(1)",
      "select count\u00a0(1)",
      "select app.count(id) from item",
      'select "charge"(id) from item',
      "select nextval('item_id_seq')",
      "select set_config('a', 'b', false)",
      "select 1; delete from item",
      "merge into item using other on true when matched then do nothing",
      "explain analyze delete from item",
      "call charge()",
      "begin",
      "",
    ]) {
      assert.equal(mayWrite(text), true, text);
    }
  });

  test("is remembered, but not without end", () => {
    for (let i = 0; i < 2_500; i++) assert.equal(mayWrite(`select ${i}`), false);
    assert.equal(mayWrite("delete from item"), true);
  });
});
