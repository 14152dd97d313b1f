import { createRequire } from "node:module";

let loaded: typeof import("undici") | undefined;

/** Loaded with the first connection that this process makes by it: many make none, and it is a tenth of the time to start. */
export function undici(): typeof import("undici") {
  const require = createRequire(import.meta.url);
  loaded ??= require("undici") as typeof import("undici");
  return loaded;
}
