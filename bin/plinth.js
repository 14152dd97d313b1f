#!/usr/bin/env node
/**
 * The command `plinth`. Runs the built package where there is one; in a clone, its TypeScript source.
 *
 * In a clone an app's `import "plinth"` must mean the source as well, or there would be two of everything: see
 * `source.js`.
 */
import { existsSync } from "node:fs";
import { usesSource } from "./source.js";

const built = new URL("../dist/cli/main.js", import.meta.url);

if (existsSync(built) && !usesSource()) await import(built.href);
else {
  const { useSource } = await import("./source.js");
  await useSource();
  await import("../src/cli/main.ts");
}
