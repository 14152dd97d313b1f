import { parseArgs } from "node:util";
import { StartError } from "../base/index.ts";
import type { Command, Flag, Flags, FlagValues } from "./command.ts";
import { nearest } from "./nearest.ts";

/** What a command line says, read by the command's own declaration. */
export interface CommandLine<F extends Flags> {
  readonly help: boolean;
  readonly args: readonly string[];
  readonly rest: readonly string[];
  readonly flags: FlagValues<F>;
}

/** Throws StartError USAGE_WRONG that names everything wrong with the line, and the way to help. */
export function parseCommandLine<F extends Flags>(
  name: string,
  command: Command<F>,
  line: readonly string[],
): CommandLine<F> {
  const problems: string[] = [];
  const end = line.indexOf("--");
  const own = end === -1 ? line : line.slice(0, end);
  const values: Record<string, unknown> = {};
  for (const [flag, { kind }] of Object.entries(command.flags)) values[flag] = kind === "switch" ? false : undefined;
  const args: string[] = [];
  let help = false;
  const { tokens } = parseArgs({
    args: [...own],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      ...Object.fromEntries(
        Object.entries(command.flags).map(([flag, { kind }]) => [
          flag,
          { type: kind === "switch" ? ("boolean" as const) : ("string" as const) },
        ]),
      ),
    },
  });
  for (const token of tokens) {
    if (token.kind === "positional") args.push(token.value);
    if (token.kind !== "option") continue;
    const flag = Object.hasOwn(command.flags, token.name) ? command.flags[token.name] : undefined;
    if (token.name === "help") help = true;
    else if (!flag) problems.push(unknownFlag(token.rawName, Object.keys(command.flags)));
    else values[token.name] = readFlag(token.rawName, flag, token, problems);
  }
  if (!help) checkArguments(name, command, args, problems);
  if (problems.length > 0 && !help) {
    const last = problems.pop();
    throw new StartError("USAGE_WRONG", [...problems, `${last}\n  plinth ${name} --help tells how it is used.`]);
  }
  const rest = end === -1 ? [] : line.slice(end + 1);
  return { help, args, rest, flags: values as FlagValues<F> };
}

function readFlag(
  given: string,
  flag: Flag,
  { value, inlineValue }: { value: string | undefined; inlineValue: boolean | undefined },
  problems: string[],
): string | number | boolean | undefined {
  if (flag.kind === "switch") {
    if (inlineValue) problems.push(`${given}: it takes no value; write ${given} alone.`);
    return true;
  }
  if (value === undefined || value === "" || (!inlineValue && value.startsWith("--"))) {
    problems.push(`${given}: it needs a value; write ${given} ${flag.value}.`);
    return undefined;
  }
  if (flag.kind === "text") return value;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= flag.min && number <= flag.max) return number;
  problems.push(`${given}: "${value}" is no whole number from ${flag.min} to ${flag.max}.`);
  return undefined;
}

function unknownFlag(given: string, known: readonly string[]): string {
  const meant = nearest(given.replace(/^-+/, ""), known);
  return `${given}: there is no such flag${meant === undefined ? "." : `; did you mean --${meant}?`}`;
}

function checkArguments(name: string, command: Command, args: readonly string[], problems: string[]): void {
  const missing = command.args.filter((argument, i) => !argument.optional && args[i] === undefined);
  for (const { name: what, describe } of missing) problems.push(`${what} is missing: ${describe}.`);
  const takesMany = command.args.some((argument) => argument.many);
  if (!takesMany && args.length > command.args.length) {
    problems.push(
      `"${args[command.args.length]}" is one argument too many; plinth ${name} takes ${command.args.length || "none"}.`,
    );
  }
}
