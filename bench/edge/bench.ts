import type { Bench } from "../bench.ts";
import { judge } from "../goals.ts";
import { findLoad } from "../load/load.ts";
import { peerVersions } from "../peers.ts";
import { canPin } from "../program.ts";
import type { EdgeSpec } from "./candidate.ts";
import { connections, measureEdge } from "./tables.ts";

const peer = (name: string): EdgeSpec => ({ name, program: `edge/${name}`, isPeer: true });
export const raw: EdgeSpec = { name: "raw", program: "edge/raw" };
export const signer: EdgeSpec = { name: "plinth", program: "edge/plinth" };

const peers = ["fastify", "hono", "express", "nest", "koa", "moleculer"];

/** The HTTP edge without its production features: what a framework costs beside plain `node:http`. */
export const edge: Bench = {
  title: "The HTTP edge, features off",
  rounds: 6,
  seconds: 2,
  check: { rounds: 5, seconds: 1, only: ["plinth"], tables: ["POST"] },
  async run(options) {
    const load = findLoad();
    const specs = [raw, ...peers.map(peer), { name: "plinth", program: "edge/plinth-bare" }];
    const tables = await measureEdge(specs, signer, options, load);
    return {
      tables: tables.map((table) =>
        judge(table, [
          { candidate: "plinth", atLeast: table.name === "GET" ? 0.95 : 1 },
          { candidate: "plinth", by: "perCpu", atLeast: table.name === "GET" ? 0.95 : 1 },
          { candidate: "plinth", to: peers, atLeast: 1 },
          { candidate: "plinth", to: peers, by: "perCpu", atLeast: 1 },
        ]),
      ),
      conditions: {
        load: load.name,
        connections,
        pinned: canPin,
        ...peerVersions("fastify", "hono", "express", "@nestjs/core", "koa", "moleculer", "moleculer-web"),
      },
    };
  },
};
