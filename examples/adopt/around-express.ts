import { type App, app } from "plinth";
import { createBookshop, createReports } from "./before/express.ts";
import staff from "./staff/service.ts";
import stock from "./stock/service.ts";

/**
 * A Plinth app around existing Express apps. Its own endpoints come first; `"/"` takes what is left, so that every path of
 * before still works. The reports get what they never had: a valid token is needed, and an answer comes in time.
 */
export function aroundExpress(): App {
  return app({
    name: "bookshop",
    services: [stock, staff],
    gateway: {
      mounts: [
        { path: "/", access: "public", handler: createBookshop() },
        { path: "/reports", deadline: "100ms", handler: createReports() },
      ],
    },
  });
}
