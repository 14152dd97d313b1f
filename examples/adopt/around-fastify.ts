import { fastify } from "fastify";
import { type App, app } from "plinth";
import { addBookshop, createReports } from "./before/fastify.ts";
import staff from "./staff/service.ts";
import stock from "./stock/service.ts";

/** The same with Fastify: `ready()` takes the place of `listen()`, and `routing` is its handler. */
export async function aroundFastify(): Promise<App> {
  const bookshop = addBookshop(fastify());
  const reports = createReports();
  await Promise.all([bookshop.ready(), reports.ready()]);
  return app({
    name: "bookshop",
    services: [stock, staff],
    gateway: {
      mounts: [
        { path: "/", access: "public", handler: (req, res) => bookshop.routing(req, res) },
        { path: "/reports", deadline: "100ms", handler: (req, res) => reports.routing(req, res) },
      ],
    },
  });
}
