import { spawnSync } from "node:child_process";
import type { LoadOptions, LoadResult } from "./measurement.ts";
import { runOwn } from "./own.ts";
import { runWrk } from "./wrk.ts";

/**
 * A closed loop: each connection sends its next request when it has the answer to the one before. `wrk` where it is
 * installed (`apt-get install wrk`); otherwise our own, which takes several times its processor time: pay no attention to
 * absolute numbers then.
 */
export interface Load {
  readonly name: "wrk" | "own";
  run(options: LoadOptions): Promise<LoadResult>;
}

export function findLoad(): Load {
  // It prints its version and ends with 1.
  return spawnSync("wrk", ["--version"]).error ? { name: "own", run: runOwn } : { name: "wrk", run: runWrk };
}
