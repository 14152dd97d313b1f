import type { Bench } from "../bench.ts";
import { judge } from "../goals.ts";
import { findLoad } from "../load/load.ts";
import { peerVersions, runtimeVersion } from "../peers.ts";
import { canPin } from "../program.ts";
import { raw, signer } from "./bench.ts";
import type { EdgeSpec } from "./candidate.ts";
import { connections, measureEdge } from "./tables.ts";

const each = { traced: 0.01, logged: "each" } as const;
const sampled = { traced: 0.01, logged: "sampled" } as const;
const plinth: EdgeSpec = { name: "plinth", program: "edge/plinth", features: each };

const specs: readonly EdgeSpec[] = [
  raw,
  { ...raw, name: "raw, newest Node", runtime: "newest node" },
  { ...raw, name: "raw, Bun", runtime: "bun" },
  { name: "hono, Bun", program: "edge/hono-bun", isPeer: true, runtime: "bun", features: each },
  { name: "elysia, Bun", program: "edge/elysia-bun", isPeer: true, runtime: "bun", features: each },
  plinth,
  { ...plinth, name: "plinth, newest Node", runtime: "newest node" },
  { ...plinth, name: "plinth, log sampled", features: sampled },
  { ...plinth, name: "plinth, log sampled, newest Node", features: sampled, runtime: "newest node" },
];

const onBun = ["hono, Bun", "elysia, Bun"];

/** The same edge on other runtimes: the newest Node, and what is written for Bun. */
export const edgeRuntimes: Bench = {
  title: "The HTTP edge, production features on, other runtimes",
  rounds: 5,
  seconds: 2,
  async run(options) {
    const load = findLoad();
    const tables = await measureEdge(specs, signer, options, load);
    return {
      tables: tables.map((table) =>
        judge(table, [
          { candidate: "plinth", to: onBun, atLeast: 1 },
          { candidate: "plinth", to: onBun, by: "perCpu", atLeast: 1 },
          { candidate: "plinth, newest Node", to: onBun, atLeast: 1 },
        ]),
      ),
      conditions: {
        load: load.name,
        connections,
        pinned: canPin,
        "newest Node": runtimeVersion("newest node"),
        bun: runtimeVersion("bun"),
        ...peerVersions("hono", "elysia", "hono-rate-limiter", "elysia-rate-limit", "jose", "pino"),
      },
    };
  },
};
