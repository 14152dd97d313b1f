import { spawnSync } from "node:child_process";
import { runOwn } from "./own.ts";
import { runWrk } from "./wrk.ts";

/** One request, sent over and over. */
export interface LoadRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface LoadOptions {
  readonly request: LoadRequest;
  readonly connections: number;
  readonly seconds: number;
  readonly core: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were no 2xx, and connections that failed. */
  readonly failures: number;
}

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
