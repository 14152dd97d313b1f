import { readFileSync } from "node:fs";
import { StartError } from "../base/index.ts";
import type { ExitCode } from "../lifecycle/index.ts";
import type { Command } from "./command.ts";
import { parseCommandLine } from "./command-line.ts";
import { commands } from "./commands/index.gen.ts";
import { tellFailure } from "./failure.ts";
import { commandHelp, mainHelp } from "./help.ts";
import { nearest } from "./nearest.ts";
import type { Terminal } from "./terminal.ts";

/**
 * The command line. A command is found by its name, loaded only then, and handed what its declaration makes of the line.
 *
 * Promises: data goes to standard output and everything else to standard error; a wrong command line, app or setting is
 * told with its remedy and ends with exit code 2, any other failure with 1; what is written to a file or a pipe has no
 * colours. Nothing is thrown out of here.
 *
 * Answers undefined for a command whose process lives on (`start`, `dev`).
 */
export async function runCli(line: readonly string[], terminal: Terminal): Promise<ExitCode | undefined> {
  try {
    return await run(line, terminal);
  } catch (thrown) {
    return tellFailure(thrown, terminal.err);
  }
}

async function run([first, ...rest]: readonly string[], terminal: Terminal): Promise<ExitCode | undefined> {
  const { out, err } = terminal;
  if (first === undefined) {
    err.write(mainHelp(plinthVersion(), await loadAll(), err));
    return 2;
  }
  if (first === "--version" || first === "-v") {
    out.write(`${plinthVersion()}\n`);
    return 0;
  }
  const asksHelp = first === "help" || first === "--help" || first === "-h";
  const name = asksHelp ? rest[0] : first;
  if (name === undefined) {
    out.write(mainHelp(plinthVersion(), await loadAll(), out));
    return 0;
  }
  const command = await load(name);
  const parsed = parseCommandLine(name, command, asksHelp ? ["--help"] : rest);
  if (parsed.help) {
    out.write(commandHelp(name, command, out));
    return 0;
  }
  const { args, flags } = parsed;
  return command.run({ args, rest: parsed.rest, flags, terminal });
}

async function load(name: string): Promise<Command> {
  const all: Readonly<Record<string, () => Promise<{ readonly default: Command }>>> = commands;
  const loader = Object.hasOwn(all, name) ? all[name] : undefined;
  if (loader) return (await loader()).default;
  const meant = nearest(name, Object.keys(all));
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  throw new StartError(
    "COMMAND_UNKNOWN",
    `"${name}" is no command.${hint}\n  There are ${Object.keys(all).join(", ")}; plinth --help says what each does.`,
  );
}

async function loadAll(): Promise<ReadonlyMap<string, Command>> {
  const names = Object.keys(commands);
  return new Map(await Promise.all(names.map(async (name) => [name, await load(name)] as const)));
}

/** The package's own version: the same two folders up from the source and from what is built. */
export function plinthVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return String(version);
}
