import { after, before, describe, test } from "node:test";
import { databaseSuite } from "../../database/testing.ts";
import { createPgliteDriver } from "./database.ts";

describe("pglite keeps the promises of the database port", () => {
  const makeDriver = () => createPgliteDriver({ memory: "suite" });
  const keeper = makeDriver();
  before(() => keeper.open());
  after(() => keeper.close());
  for (const { name, skip, run } of databaseSuite({ flags: keeper.flags, makeDriver })) {
    test(name, { skip: skip ?? false, timeout: 30_000 }, run);
  }
});
