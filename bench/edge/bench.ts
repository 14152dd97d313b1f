import type { Bench, BenchOptions } from "../bench.ts";
import type { Load } from "../load/load.ts";
import { findLoad } from "../load/load.ts";
import type { LoadRequest } from "../load/measurement.ts";
import { canPin, cpuUs, memoryMiB } from "../program.ts";
import { measureInRounds, type Sample, type Table } from "../rounds.ts";
import { type EdgeCandidate, origin, startCandidate } from "./candidate.ts";
import { orderBody, orderPath, statusPath } from "./order.ts";
import { proveAnswers, proveFeatures, proveSamples } from "./proof.ts";

/** The HTTP edge: what remains of plain `node:http` when everything that production needs is on. */
const names = ["raw", "fastify", "plinth"];
const connections = 64;
const serverCore = 0;
const loadCore = 1;

export const edge: Bench = {
  title: "The HTTP edge",
  rounds: 8,
  seconds: 2,
  async run({ rounds, seconds, say }: BenchOptions) {
    const load = findLoad();
    const candidates = await Promise.all(names.map((name) => startCandidate(name, serverCore)));
    const [, , plinth = fail()] = candidates;
    const token = plinth.facts.token ?? "";
    try {
      for (const candidate of candidates) await proveAnswers(candidate, token);
      await proveFeatures(plinth, token);
      say("every candidate answers correctly, and Plinth's features are on");
      const tables: Table[] = [];
      for (const [name, body] of [
        ["GET", undefined],
        ["POST", JSON.stringify(orderBody)],
      ] as const) {
        say(`${name}: ${rounds} rounds of ${names.join(", ")}, ${seconds} s each, load by ${load.name}`);
        const slice = (candidate: EdgeCandidate) =>
          measure(candidate, load, requestFor(candidate, token, body), seconds);
        for (const candidate of candidates) await slice(candidate);
        tables.push(
          await measureInRounds({
            name,
            candidates: names,
            rounds,
            slice: (wanted) => slice(candidates[names.indexOf(wanted)] ?? fail()),
          }),
        );
      }
      await proveSamples(plinth);
      return { tables, conditions: { load: load.name, connections, pinned: canPin } };
    } finally {
      await Promise.all(candidates.map((candidate) => candidate.stop()));
    }
  },
};

async function measure(candidate: EdgeCandidate, load: Load, request: LoadRequest, seconds: number): Promise<Sample> {
  const before = await cpuUs(candidate);
  const result = await load.run({ request, connections, seconds, core: loadCore });
  if (result.failures > 0) throw new Error(`${request.url}: ${result.failures} of ${result.requests} requests failed`);
  const { requests, p50Ms, p99Ms } = result;
  const used = (await cpuUs(candidate)) - before;
  const rssMiB = await memoryMiB(candidate);
  return { perSecond: requests / result.seconds, p50Ms, p99Ms, cpuUs: used / requests, rssMiB };
}

/** The same bytes for all: who does not look at a header still has to read it. */
function requestFor({ facts }: EdgeCandidate, token: string, body: string | undefined): LoadRequest {
  const headers = { authorization: `Bearer ${token}`, origin };
  return body === undefined
    ? { method: "GET", url: facts.url + statusPath, headers }
    : {
        method: "POST",
        url: facts.url + orderPath,
        headers: { ...headers, "content-type": "application/json" },
        body,
      };
}

function fail(): never {
  throw new Error("a candidate is missing");
}
