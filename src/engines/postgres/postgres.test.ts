import { after, before, describe, test } from "node:test";
import { databaseSuite } from "../../database/testing.ts";
import { createPostgresDriver } from "./database.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skipped = url ? false : 'PLINTH_TEST_POSTGRES_URL is not set: eval "$(scripts/engines.sh up postgres)"';

describe("postgres keeps the promises of the database port", { skip: skipped }, () => {
  const makeDriver = () => createPostgresDriver(new URL(url as string));
  if (!url) return;
  const keeper = makeDriver();
  before(() => keeper.open());
  after(() => keeper.close());
  for (const { name, skip, run } of databaseSuite({ flags: keeper.flags, makeDriver })) {
    test(name, { skip: skip ?? false, timeout: 30_000 }, run);
  }
});
