import { describe } from "node:test";
import { killThere, postgresHome } from "./crash-suite.fixture.ts";
import { newDatabase, skipWithoutPostgres } from "./postgres.fixture.ts";
import { newFolder } from "./shop.fixture.ts";

describe("the shop, killed during a checkout on Postgres,", { skip: skipWithoutPostgres }, () => {
  killThere(async () => postgresHome(await newFolder(), await newDatabase()));
});
