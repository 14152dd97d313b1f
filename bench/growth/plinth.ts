import { createRuntime } from "plinth";
import { announce } from "../child.ts";
import { withRoutes, withServices } from "./definition.ts";

/** `routes N` or `services N`, and what it took to get there. */
const [what = "", count = ""] = process.argv.slice(2);
const grown = what === "routes" ? withRoutes(Number(count)) : withServices(Number(count));
const environment = { ...process.env, PLINTH_LOG: "error" };
const runtime = await createRuntime(grown.definition, { environment, management: false, settings: { port: 0 } });
const { gateway } = await runtime.start();
const startMs = performance.now();
globalThis.gc?.();
const { heapUsed, rss } = process.memoryUsage();
const run = grown.calls?.(runtime);

announce(
  { url: gateway, paths: grown.paths, startMs, heapMiB: heapUsed / 2 ** 20, rssMiB: rss / 2 ** 20 },
  run ? { run } : {},
);
