#!/usr/bin/env node
/** The command `plinth`: runs the built package, or a clone's source. */
import module from "node:module";
import { runsSource, useSource } from "./source.js";

// Node 22 and later keep compiled code on disk.
module.enableCompileCache?.();

if (runsSource()) {
  await useSource();
  await import("../src/cli/main.ts");
} else await import(new URL("../dist/cli/main.js", import.meta.url).href);
