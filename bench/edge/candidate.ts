import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { programFile, workFolder } from "../build.ts";
import { commandOf, type Runtime, startPeer } from "../peers.ts";
import { type Program, startProgram } from "../program.ts";

/** What every candidate tells when it is ready; those that sign tokens tell more. */
export interface EdgeFacts {
  readonly url: string;
  readonly token?: string;
  /** Of somebody who may do less. */
  readonly weakToken?: string;
}

/** One of those that are compared. */
export interface EdgeSpec {
  readonly name: string;
  /** `"edge/raw"` or, for a peer, what stands under `bench/peers`. */
  readonly program: string;
  readonly isPeer?: boolean;
  readonly runtime?: Runtime;
  /** Modules that it loads first. */
  readonly preloads?: readonly string[];
  /** With production features: which share of traces it records, and whether each request is a line of its log. */
  readonly features?: EdgeFeatures;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface EdgeFeatures {
  readonly traced: number;
  readonly logged: "each" | "sampled";
  /** At least so many in the trace of one request. Default 1. */
  readonly spans?: number;
}

export interface EdgeCandidate extends Program<EdgeFacts> {
  readonly name: string;
  readonly spec: EdgeSpec;
  /** The file that has what it prints. */
  readonly output: string;
}

export interface Credentials {
  readonly token: string;
  readonly weakToken: string;
}

export const origin = "https://shop.example";
/** So high that no load reaches it; that it is there is proven with one that is low. */
const quotaMax = 1_000_000_000;

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const privatePem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
const publicPem = createPublicKey(privateKey).export({ type: "spki", format: "pem" }) as string;

let count = 0;

export async function startCandidate(spec: EdgeSpec, core: number, quota = quotaMax): Promise<EdgeCandidate> {
  const { name, program, isPeer = false, runtime = "node", features } = spec;
  const output = `${workFolder}/edge-${count++}.log`;
  const environment = {
    PLINTH_TOKEN_KEY: privatePem,
    PLINTH_ACCESS_LOG: features?.logged === "each" ? "1" : "0.01",
    PLINTH_TRACE: String(features?.traced ?? 0),
    EDGE_KEY: publicPem,
    EDGE_ORIGIN: origin,
    EDGE_QUOTA: String(quota),
    EDGE_TRACED: String(features?.traced ?? 0),
    ...spec.environment,
  };
  const command = [...commandOf(runtime), ...preloadsOf(spec)];
  const options = { core, output, environment, command };
  const started = isPeer ? startPeer<EdgeFacts>(program, options) : startProgram<EdgeFacts>(program, options);
  return { ...(await started), name, spec, output };
}

function preloadsOf({ preloads = [] }: EdgeSpec): string[] {
  return preloads.flatMap((name) => ["--import", programFile(name)]);
}
