import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { DatabaseDriver } from "../../database/index.ts";
import pglite from "../../engines/pglite/index.ts";
import { hello, repository, run } from "../terminal.fixture.ts";

const sharded = `${repository}src/cli/fixtures/sharded/app.ts`;
const [main, b] = ["pglite:memory:shards-cli-main", "pglite:memory:shards-cli-b"];
const one = "";
const both = `b=${b}`;

/** Held open, so that the commands find what those before them left. */
const keepers: DatabaseDriver[] = [];
before(async () => {
  for (const url of [main, b]) {
    const driver = pglite.ports.database?.(new URL(url));
    assert.ok(driver);
    await driver.open();
    keepers.push(driver);
  }
});
after(async () => {
  for (const driver of keepers) await driver.close();
});

const shards = (line: readonly string[], addresses = both) =>
  run(["shards", ...line, "--app", sharded], {
    environment: { NODE_ENV: "test", DATABASE_URL: main, DATABASE_SHARDS: addresses },
  });

test("a shard is added, gets its share, and gives it back, with the same words everywhere", async () => {
  assert.match((await shards(["status"])).err, /accounts was never started with shards/);
  assert.equal((await shards(["add", "main"], one)).code, 0);
  const alone = await shards(["status"], one);
  assert.equal(alone.code, 0, alone.err);
  assert.match(alone.out, /accounts\s+main\s+1024\s+1\s+ok/);
  const added = await shards(["add", "b"]);
  assert.match(added.err, /b is ready for accounts; plinth shards rebalance gives it its share/);
  const plan = await shards(["rebalance", "--plan"]);
  assert.match(plan.out, /accounts\s+main\s+b\s+512\s+512-1023/);
  const moved = await shards(["move", "--buckets", "0-2,700", "--to", "b", "--json"]);
  assert.equal(moved.code, 0, moved.err);
  assert.deepEqual(JSON.parse(moved.out)[0].buckets, [0, 1, 2, 700]);
  const back = await shards(["move", "--buckets", "0-2,700", "--to", "main", "--rate", "1000"]);
  assert.match(back.out, /b → main\s+4\s+0\s+\d+ ms\s+DONE/);
  assert.match(back.err, /move 2: 4 buckets b → main: FENCE/);
  assert.match((await shards(["move", "--buckets", "5", "--to", "main"])).err, /nothing to move/);
  assert.equal((await shards(["resume"])).code, 0);
  assert.match((await shards(["abort", "2"])).err, /no such move of accounts that could still be given up/);
  assert.match((await shards(["rebalance"], one)).err, /every shard has its share/);
  const status = JSON.parse((await shards(["status", "--json"])).out);
  assert.deepEqual(
    status.shards.map((shard: { name: string; buckets: number[] }) => [shard.name, shard.buckets.length]),
    [
      ["b", 0],
      ["main", 1024],
    ],
  );
});

test("each wrong use names the remedy", async () => {
  const cases: readonly (readonly [line: readonly string[], says: RegExp])[] = [
    [["explode"], /shards explode: there is no such topic; there are status, add, move/],
    [["move"], /say what goes where: --buckets 0-511 --to NAME/],
    [["move", "--buckets", "9-3", "--to", "b"], /write numbers from 0 to 1023, such as 0-511,700/],
    [["abort", "x"], /name the move by its number/],
    [["add", "c"], /shards add c: DATABASE_SHARDS gives it no address/],
    [["status", "--service", "nobody"], /--service nobody: that is no service which is sharded/],
  ];
  for (const [line, says] of cases) {
    const { code, err } = await shards(line);
    assert.notEqual(code, 0);
    assert.match(err, says);
  }
  const plain = await run(["shards", "status", "--app", hello], { environment: { NODE_ENV: "test" } });
  assert.match(plain.err, /no service of "hello" is sharded/);
});

test("a shard that cannot be reached is part of the status, and stops what needs it", async () => {
  const down = "b=pglite:/dev/null/b";
  const status = await shards(["status"], down);
  assert.equal(status.code, 1);
  assert.match(status.out, /accounts\s+b\s+0\s+\?\s+.*ENOTDIR/);
  assert.match((await shards(["rebalance"], down)).err, /shard b: .*ENOTDIR/);
});
