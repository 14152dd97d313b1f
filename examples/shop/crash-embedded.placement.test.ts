import { describe } from "node:test";
import { directoryHome, killThere } from "./crash-suite.fixture.ts";
import { newFolder } from "./shop.fixture.ts";

describe("the shop, killed during a checkout on the embedded database in a directory,", () => {
  killThere(async () => directoryHome(await newFolder()));
});
