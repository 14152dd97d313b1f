import { after, before, describe, test } from "node:test";
import { databaseSuite } from "../../database/testing.ts";
import { createPostgresDriver } from "./database.ts";

const given = process.env.PLINTH_TEST_PGBOUNCER_URL;
const skipped = given ? false : 'PLINTH_TEST_PGBOUNCER_URL is not set: eval "$(scripts/engines.sh up pgbouncer)"';

const urlOf = (direct: boolean): URL => {
  const url = new URL(given as string);
  if (!direct) url.searchParams.delete("direct");
  return url;
};

for (const direct of [true, false]) {
  const how = direct ? "with a way past it" : "with no way past it";
  describe(`postgres behind PgBouncer in transaction mode, ${how}, keeps the promises of the port`, {
    skip: skipped,
  }, () => {
    if (!given) return;
    const makeDriver = () => createPostgresDriver(urlOf(direct));
    const keeper = makeDriver();
    before(() => keeper.open());
    after(() => keeper.close());
    for (const { name, skip, run } of databaseSuite({ flags: keeper.flags, makeDriver })) {
      test(name, { skip: skip ?? false, timeout: 30_000 }, run);
    }
  });
}
