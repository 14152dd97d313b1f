import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { App } from "../app/index.ts";
import { createRuntime } from "../app/index.ts";
import { StartError } from "../base/index.ts";
import { generateTokenSecret } from "../identity/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import type { AccessReport, AccessRow, AccessSample, AccessTokens } from "../verify/index.ts";
import { createAccessTokens, verifyAccess } from "../verify/index.ts";
import { table } from "./table.ts";
import type { Screen, Terminal } from "./terminal.ts";
import { registerTypeScript } from "./typescript.ts";

export interface VerifyAccessFlags {
  /** File that exports samples, or makes them. */
  readonly samples: string | undefined;
  readonly json: boolean;
}

/** What a file of samples exports by default. */
export type AccessSamples =
  | Readonly<Record<string, AccessSample>>
  | ((parts: SampleParts) => Promise<Readonly<Record<string, AccessSample>>>);

export interface SampleParts {
  /** The gateway of the app that was started for this. */
  readonly url: string;
  /** An `Authorization` header of somebody. */
  authorization(token: Parameters<AccessTokens>[1]): Promise<string>;
}

/** Starts the app for this alone, on embedded engines and an empty folder, and asks each method with each credential. */
export async function runVerifyAccess(app: App, flags: VerifyAccessFlags, terminal: Terminal): Promise<ExitCode> {
  const given = await readSamples(flags.samples, terminal);
  const folder = await mkdtemp(join(tmpdir(), "plinth-access-"));
  const secret = generateTokenSecret();
  // Whoever asks so often with wrong tokens would be told to wait, and that says nothing about who may come in.
  const runtime = await createRuntime(app, {
    limits: false,
    environment: { ...terminal.environment, NODE_ENV: "test", PLINTH_LOG: "silent", PLINTH_TOKEN_KEY: secret },
    settings: { dataFolder: folder, databaseUrl: undefined, cacheUrl: undefined, databaseShards: undefined, port: 0 },
    management: false,
  });
  try {
    const { gateway: url } = await runtime.start();
    if (url === undefined) throw new StartError("USAGE_WRONG", `"${app.name}" has no gateway to be verified.`);
    const tokens = await createAccessTokens({ secret, name: app.name });
    const authorization: SampleParts["authorization"] = async (token) => (await tokens("right", token)) as string;
    const samples = typeof given === "function" ? await given({ url, authorization }) : given;
    const report = await verifyAccess({ model: runtime.model, url, tokens, samples });
    terminal.out.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report, terminal.out));
    return report.verdict.valid === true ? 0 : 1;
  } finally {
    await runtime.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function readSamples(name: string | undefined, terminal: Terminal): Promise<AccessSamples> {
  if (name === undefined) return {};
  const file = resolve(terminal.cwd, name);
  const shown = relative(terminal.cwd, file);
  await registerTypeScript();
  let given: unknown;
  try {
    ({ default: given } = await import(pathToFileURL(file).href));
  } catch (cause) {
    throw new StartError("USAGE_WRONG", `--samples ${shown}: it cannot be loaded: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof given === "function" || (typeof given === "object" && given !== null)) return given as AccessSamples;
  throw new StartError(
    "USAGE_WRONG",
    `--samples ${shown}: its default export is no samples; export { "orders.getOrder": { request: { id }, as: { subject } } }, or a function that answers that.`,
  );
}

function summary({ verdict, rows }: AccessReport, screen: Screen): string {
  const wrong = rows.filter(({ holds }) => !holds);
  const cells = wrong.map((row) => [row.method, row.verb, row.path, row.credential, row.expected, String(row.status)]);
  const credentials = [...new Set(rows.map(({ credential }) => credential))];
  const counts = credentials.map((credential) => {
    const own = rows.filter((row) => row.credential === credential);
    return [
      credential,
      String(own.length),
      String(own.filter(isRefused).length),
      String(own.filter((row) => !row.holds).length),
    ];
  });
  const words = { true: "every method lets in whom it should, and nobody else", false: "wrong", unknown: "not known" };
  return [
    table(["CREDENTIAL", "ASKED", "REFUSED", "WRONG"], counts, screen),
    ...(cells.length > 0 ? [table(["METHOD", "VERB", "PATH", "CREDENTIAL", "EXPECTED", "STATUS"], cells, screen)] : []),
    ...verdict.doubts.map((doubt) => `${screen.style("yellow", "not known")}: ${doubt}`),
    `${verdict.counts.methods} methods, ${rows.length} requests: ${words[String(verdict.valid) as keyof typeof words]}`,
    "",
  ].join("\n");
}

/** A stranger is refused as well by being told that there is no such object. */
function isRefused({ status, expected }: AccessRow): boolean {
  return status === 401 || status === 403 || status === 405 || (expected === "hidden" && status === 404);
}
