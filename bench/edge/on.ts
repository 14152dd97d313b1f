import type { Bench } from "../bench.ts";
import { judge, type Wanted } from "../goals.ts";
import { findLoad } from "../load/load.ts";
import { peerVersions } from "../peers.ts";
import { canPin } from "../program.ts";
import { raw, signer } from "./bench.ts";
import type { EdgeSpec } from "./candidate.ts";
import { connections, measureEdge } from "./tables.ts";

const peer = (name: string, program: string, traced: number): EdgeSpec => ({
  name,
  program: `edge/${program}-on`,
  isPeer: true,
  preloads: ["peers/edge/tracing"],
  // Of NestJS, which is made of modules, the instrumentation sees no more than node:http.
  features: { traced, logged: "each", spans: program === "nest" ? 1 : 4 },
});

const plinth = (name: string, traced: number, logged: "each" | "sampled"): EdgeSpec => ({
  name,
  program: "edge/plinth",
  features: { traced, logged },
});

const specs: readonly EdgeSpec[] = [
  raw,
  peer("fastify", "fastify", 0.01),
  { ...peer("fastify, tokens cached", "fastify", 0.01), environment: { EDGE_TOKEN_CACHE: "true" } },
  peer("fastify, all traced", "fastify", 1),
  peer("nest", "nest", 0.01),
  peer("nest, all traced", "nest", 1),
  peer("express", "express", 0.01),
  peer("express, all traced", "express", 1),
  plinth("plinth, log sampled", 0.01, "sampled"),
  plinth("plinth", 0.01, "each"),
  plinth("plinth, all traced", 1, "each"),
];

/** What the issue asks for, by request: to raw with the log sampled and with each line, to Fastify, Express and NestJS. */
const asked = {
  GET: { sampled: 0.85, each: 0.65, fastify: 18, express: 40, nest: 18 },
  POST: { sampled: 0.9, each: 0.78, fastify: 8, express: 20, nest: 10 },
} as const;

/** The HTTP edge with everything on that production needs. */
export const edgeOn: Bench = {
  title: "The HTTP edge, production features on",
  rounds: 4,
  seconds: 2,
  check: { rounds: 5, seconds: 1, only: ["plinth"], tables: ["GET"] },
  async run(options) {
    const load = findLoad();
    const tables = await measureEdge(specs, signer, options, load);
    return {
      tables: tables.map((table) => judge(table, wantedOf(asked[table.name as "GET" | "POST"]))),
      conditions: {
        load: load.name,
        connections,
        pinned: canPin,
        ...peerVersions("fastify", "@nestjs/core", "express", "helmet", "@fastify/jwt", "jsonwebtoken", "pino"),
        ...peerVersions("prom-client", "@opentelemetry/sdk-trace-node"),
      },
    };
  },
};

function wantedOf({ sampled, each, fastify, express, nest }: (typeof asked)[keyof typeof asked]): Wanted[] {
  const [lean, full, traced] = ["plinth, log sampled", "plinth", "plinth, all traced"] as const;
  return [
    { candidate: lean, atLeast: sampled },
    { candidate: full, atLeast: each },
    { candidate: lean, by: "perCpu", atLeast: sampled },
    { candidate: full, by: "perCpu", atLeast: each },
    { candidate: lean, to: "fastify", atLeast: fastify },
    { candidate: traced, to: "fastify, all traced", atLeast: fastify },
    { candidate: lean, to: "express", atLeast: express },
    { candidate: lean, to: "nest", atLeast: nest },
    { candidate: full, to: "fastify, tokens cached", atLeast: 1 },
    { candidate: lean, by: "p99Ms", atMost: 15 },
    { candidate: full, by: "p99Ms", atMost: 15 },
  ];
}
