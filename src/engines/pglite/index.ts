import { fileURLToPath } from "node:url";
import { StartError } from "../../base/index.ts";
import type { DatabaseDriver } from "../../database/index.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { createPgliteDriver } from "./database.ts";

/**
 * PGlite, the embedded database and the reference driver of the database port; `database.ts` says what it promises.
 *
 *     pglite:.plinth/data         a directory, from where the process was started
 *     pglite:///var/lib/shop      a directory, from the root
 *     pglite:memory               in memory, shared by all of this process; pglite:memory:NAME for another
 */
const engine: Engine = {
  name: "pglite",
  schemes: ["pglite"],
  package: "@electric-sql/pglite",
  ports: {
    database: (url: URL, options: EngineOptions = {}): DatabaseDriver =>
      createPgliteDriver({ ...options, ...place(url) }),
  },
};

export default engine;

function place(url: URL): { memory: string } | { directory: string } {
  if (url.host !== "" || url.search !== "" || url.pathname === "") {
    throw new StartError(
      "DATABASE_URL_INVALID",
      `${url.href}: the embedded database takes a directory and nothing else: pglite:.plinth/data, pglite:///var/lib/shop, or pglite:memory`,
    );
  }
  const memory = /^memory(?::(.*))?$/.exec(url.pathname);
  if (memory) return { memory: memory[1] ?? "" };
  return {
    directory: url.pathname.startsWith("/")
      ? fileURLToPath(new URL(`file://${url.pathname}`))
      : decodeURIComponent(url.pathname),
  };
}
