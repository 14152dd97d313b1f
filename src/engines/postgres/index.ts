import type { DatabaseDriver } from "../../database/index.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { createPostgresDriver } from "./database.ts";

/** PostgreSQL. `database.ts` says what its driver promises, `address.ts` what its URL may hold. */
const engine: Engine = {
  name: "postgres",
  schemes: ["postgres", "postgresql"],
  package: "pg",
  ports: {
    database: (url: URL, options: EngineOptions = {}): DatabaseDriver => createPostgresDriver(url, options),
  },
};

export default engine;
