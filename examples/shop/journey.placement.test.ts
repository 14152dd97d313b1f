import { describe } from "node:test";
import { startTestApp } from "plinth/testing";
import shop from "./app.ts";
import { mailFolderOf } from "./shop.fixture.ts";
import { walk } from "./walk.fixture.ts";

for (const { name, placement } of [
  { name: "in one process", placement: "process" },
  { name: "with RPC between its groups", placement: "groups" },
] as const) {
  describe(`the shop ${name}: a customer`, () => {
    walk((folder) =>
      startTestApp(shop, {
        placement,
        environment: { SHOP_MAIL_FOLDER: mailFolderOf(folder) },
        settings: { dataFolder: folder },
      }),
    );
  });
}
