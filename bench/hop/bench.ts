import { generateKeyPairSync } from "node:crypto";
import { type Bench, type BenchOptions, isWanted, wantedOf } from "../bench.ts";
import { judge, type Wanted } from "../goals.ts";
import { findLoad, type Load } from "../load/load.ts";
import { peersLack, peerVersions, startPeer } from "../peers.ts";
import { canPin, cpuUs, type Program, startProgram } from "../program.ts";
import { measureInRounds, type Sample, type Table } from "../rounds.ts";
import { measureSound, proveSlice } from "../void-slice.ts";
import { cargo, cargoPath } from "./cargo.ts";
import type { HopCandidate, Way } from "./hop-program.ts";
import { startNative, versionOf } from "./native.ts";
import { proveHop } from "./proof.ts";

/** A gateway before an upstream, first with nothing to decide, then with tokens and limits where it has them. */
const connections = 64;
const gatewayCore = 0;
/** Of the upstream, too. */
const loadCore = 1;
const reference = "@fastify/http-proxy";
const peers = { [reference]: "hop/fastify", "fast-gateway": "hop/fast-gateway" };
const natives = ["nginx", "haproxy"] as const;

export const hop: Bench = {
  title: "A gateway before an upstream",
  rounds: 5,
  seconds: 2,
  check: { rounds: 5, seconds: 1, only: ["plinth"], tables: ["GET, tokens and limits"], lacks: peersLack },
  async run(options) {
    const load = findLoad();
    const upstream = await startProgram<{ url: string }>("hop/upstream", { core: loadCore });
    try {
      const tables: Table[] = [];
      for (const way of ["plain", "guarded"] as const) tables.push(...(await measureWay(way, upstream, load, options)));
      const versions = { ...nativeVersions(), ...peerVersions(reference, "fast-gateway") };
      const conditions = { load: load.name, connections, bytesEachWay: cargo.length, pinned: canPin, ...versions };
      return { tables, conditions, notes: [...notes, ...missing()] };
    } finally {
      await upstream.stop();
    }
  },
};

const notes = [
  "The upstream and the load share the other core: from some 55,000 per second on that core is what is measured, and processor time says the rest",
  "With tokens and limits, nginx has limits alone: its open version knows no JWT. HAProxy verifies each token anew; Plinth and @fastify/jwt remember those that they have verified",
];

function missing(): string[] {
  return natives
    .filter((name) => versionOf(name) === undefined)
    .map((name) => `${name} was left out, for it is not installed: \`apt-get install -y nginx-light haproxy\``);
}

function nativeVersions(): Record<string, string> {
  return Object.fromEntries(natives.flatMap((name) => [[name, versionOf(name)]].filter(([, found]) => found)));
}

async function measureWay(
  way: Way,
  upstream: Program<{ url: string }>,
  load: Load,
  options: BenchOptions,
): Promise<Table[]> {
  const { rounds, seconds, say } = options;
  const methods = way === "plain" ? (["GET"] as const) : (["GET", "POST"] as const);
  const nameOf = (method: string) => (way === "plain" ? `${method}, plain` : `${method}, tokens and limits`);
  const wantedMethods = methods.filter((method) => isWanted(nameOf(method), options));
  if (wantedMethods.length === 0) return [];
  const started: HopCandidate[] = [];
  try {
    const all = [...Object.keys(peers), "plinth", ...natives.filter((name) => versionOf(name) !== undefined)];
    const token = await startAll(way, upstream.facts.url, wantedOf(all, options), started);
    for (const candidate of started) await proveHop(candidate, token);
    const candidates = started.map(({ name }) => name);
    say(`${way}: every gateway passes on what it should${way === "guarded" ? ", and refuses what it says" : ""}`);
    const tables: Table[] = [];
    for (const method of wantedMethods) {
      const name = nameOf(method);
      const slice = (wanted: string) =>
        measureSound(
          () => measure(started[candidates.indexOf(wanted)] as HopCandidate, { load, method, token, seconds }),
          say,
        );
      say(`${name}: ${rounds} rounds of ${candidates.join(", ")}, ${seconds} s each, load by ${load.name}`);
      for (const candidate of candidates) await slice(candidate);
      const table = await measureInRounds({ name, candidates, rounds, slice });
      tables.push(way === "plain" ? table : judge(table, goalsOf(candidates)));
    }
    return tables;
  } finally {
    for (const candidate of started) await candidate.stop();
  }
}

function goalsOf(candidates: readonly string[]): Wanted[] {
  const nodes: Wanted[] = Object.keys(peers).map((to) => ({ candidate: "plinth", to, atLeast: 2 }));
  return candidates.includes("nginx") ? [...nodes, { candidate: "plinth", to: "nginx", atLeast: 0.5 }] : nodes;
}

/** Gives the token that all of them take: Plinth's own. */
async function startAll(way: Way, target: string, wanted: readonly string[], started: HopCandidate[]): Promise<string> {
  const { privateKey, publicKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = key.export({ type: "spki", format: "pem" }) as string;
  const claims = { checksTokens: way === "guarded", hasLimits: way === "guarded" };
  const environment = {
    PLINTH_TOKEN_KEY: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    PLINTH_ACCESS_LOG: "0.01",
    PLINTH_TRACE: "0.01",
  };
  const add = (name: string, program: Program<{ url: string }>): void => {
    const own = { url: program.facts.url, cpuUs: () => cpuUs(program), stop: () => program.stop() };
    started.push({ name, ...claims, ...own });
  };
  const args = [way, target, publicKey];
  for (const [name, file] of Object.entries(peers))
    if (wanted.includes(name)) add(name, await startPeer(file, { core: gatewayCore, args }));
  const plinth = await startProgram<{ url: string; token: string }>("hop/plinth", {
    core: gatewayCore,
    args,
    environment,
  });
  add("plinth", plinth);
  const upstreamPort = Number(new URL(target).port);
  for (const name of natives) {
    if (!wanted.includes(name)) continue;
    const program = await startNative(name, { way, upstreamPort, core: gatewayCore, publicKey });
    started.push({ name, ...claims, ...(name === "nginx" && { checksTokens: false }), ...program });
  }
  return plinth.facts.token;
}

interface Work {
  readonly load: Load;
  readonly method: "GET" | "POST";
  readonly token: string;
  readonly seconds: number;
}

async function measure(candidate: HopCandidate, { load, method, token, seconds }: Work): Promise<Sample> {
  const authorization = `Bearer ${token}`;
  const url = candidate.url + cargoPath;
  const request =
    method === "GET"
      ? { method, url, headers: { authorization } }
      : { method, url, headers: { authorization, "content-type": "application/json" }, body: cargo };
  const before = await candidate.cpuUs();
  const {
    requests,
    seconds: took,
    p50Ms,
    p99Ms,
    failures,
  } = await load.run({
    request,
    connections,
    seconds,
    core: loadCore,
  });
  proveSlice(candidate.name, { requests, failures });
  return { perSecond: requests / took, p50Ms, p99Ms, cpuUs: ((await candidate.cpuUs()) - before) / requests };
}
