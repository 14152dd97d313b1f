import { generateKeyPairSync } from "node:crypto";
import { workFolder } from "../build.ts";
import { type Program, startProgram } from "../program.ts";

/** What every candidate tells when it is ready; Plinth tells more. */
export interface EdgeFacts {
  readonly url: string;
  /** Where probes and metrics are. */
  readonly management?: string;
  readonly token?: string;
}

export interface EdgeCandidate extends Program<EdgeFacts> {
  readonly name: string;
  /** The file that has what it prints. */
  readonly output: string;
}

export const origin = "https://shop.example";

export async function startCandidate(name: string, core: number): Promise<EdgeCandidate> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const output = `${workFolder}/edge-${name}.log`;
  const program = await startProgram<EdgeFacts>(`edge/${name}`, {
    core,
    output,
    environment: {
      PLINTH_TOKEN_KEY: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      PLINTH_ACCESS_LOG: "0.01",
      PLINTH_TRACE: "0.01",
    },
  });
  return { ...program, name, output };
}
