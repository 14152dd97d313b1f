import { type BenchOptions, isWanted, wantedOf } from "../bench.ts";
import type { Load } from "../load/load.ts";
import type { LoadRequest } from "../load/measurement.ts";
import { cpuUs, memoryMiB } from "../program.ts";
import { measureInRounds, type Sample, type Table } from "../rounds.ts";
import { endTurns, giveTurn } from "../turns.ts";
import { measureSound, proveSlice } from "../void-slice.ts";
import { type Credentials, type EdgeCandidate, type EdgeSpec, origin, startCandidate } from "./candidate.ts";
import { orderBody, orderPath, statusPath } from "./order.ts";
import { proveAnswers, proveFeatures, proveLimit, proveSamples } from "./proof.ts";

export const connections = 64;
const serverCore = 0;
const loadCore = 1;

/** The candidates under both requests, the first of them as the reference. `signer`: Plinth, whose tokens all take. */
export async function measureEdge(
  all: readonly EdgeSpec[],
  signer: EdgeSpec,
  options: BenchOptions,
  load: Load,
): Promise<readonly Table[]> {
  const { rounds, seconds, say } = options;
  const names = wantedOf(
    all.map(({ name }) => name),
    options,
  );
  const specs = all.filter(({ name }) => names.includes(name));
  const running: EdgeCandidate[] = [];
  const start = async (spec: EdgeSpec) => {
    const candidate = await startCandidate(spec, serverCore);
    running.push(candidate);
    return candidate;
  };
  try {
    const credentials = credentialsOf(await start(signer));
    const candidates = [];
    for (const spec of specs) candidates.push(await start(spec));
    for (const candidate of candidates) await prove(candidate, credentials);
    say(`every candidate answers correctly, and what it has on is on: ${names.join(", ")}`);
    const tables: Table[] = [];
    for (const name of ["GET", "POST"] as const) {
      if (!isWanted(name, options)) continue;
      say(`${name}: ${rounds} rounds of ${seconds} s each, load by ${load.name}`);
      const slice = async (candidate: EdgeCandidate) => {
        await giveTurn(candidate, running);
        return measureSound(() => measure(candidate, load, requestFor(name, candidate, credentials), seconds), say);
      };
      for (const candidate of candidates) await slice(candidate);
      const byName = new Map(candidates.map((candidate) => [candidate.name, candidate]));
      tables.push(
        await measureInRounds({
          name,
          candidates: names,
          rounds,
          slice: (wanted) => slice(byName.get(wanted) as EdgeCandidate),
        }),
      );
    }
    endTurns(running);
    for (const candidate of candidates) await proveSamples(candidate);
    return tables;
  } finally {
    await Promise.all(running.map((candidate) => candidate.stop()));
  }
}

async function prove(candidate: EdgeCandidate, credentials: Credentials): Promise<void> {
  await proveAnswers(candidate, credentials.token);
  if (!candidate.spec.features) return;
  await proveFeatures(candidate, credentials);
  await proveLimit(candidate.spec, serverCore, credentials);
}

async function measure(candidate: EdgeCandidate, load: Load, request: LoadRequest, seconds: number): Promise<Sample> {
  const before = await cpuUs(candidate);
  const result = await load.run({ request, connections, seconds, core: loadCore });
  const { requests, p50Ms, p99Ms } = result;
  proveSlice(`${candidate.name}, ${request.method} ${request.url}`, result);
  const used = (await cpuUs(candidate)) - before;
  const rssMiB = await memoryMiB(candidate);
  return { perSecond: requests / result.seconds, p50Ms, p99Ms, cpuUs: used / requests, rssMiB };
}

/** The same bytes for all: who does not look at a header still has to read it. */
function requestFor(name: "GET" | "POST", { facts }: EdgeCandidate, { token }: Credentials): LoadRequest {
  const headers = { authorization: `Bearer ${token}`, origin };
  return name === "GET"
    ? { method: "GET", url: facts.url + statusPath, headers }
    : {
        method: "POST",
        url: facts.url + orderPath,
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(orderBody),
      };
}

function credentialsOf({ facts: { token = "", weakToken = "" } }: EdgeCandidate): Credentials {
  return { token, weakToken };
}
