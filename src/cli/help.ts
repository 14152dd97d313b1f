import type { Command, Flags } from "./command.ts";
import type { Screen } from "./terminal.ts";

const widthMax = 100;

/** `plinth start [flags]`. */
export function usageOf(name: string, { args, flags }: Command): string {
  const words = args.map((argument) => {
    const word = `${argument.name}${argument.many ? "…" : ""}`;
    return argument.optional ? `[${word}]` : word;
  });
  return ["plinth", name, ...words, ...(Object.keys(flags).length > 0 ? ["[flags]"] : [])].join(" ");
}

export function commandHelp(name: string, command: Command, screen: Screen): string {
  const sections = [
    `${command.describe}\n`,
    section("Usage", [`  ${usageOf(name, command)}`], screen),
    section(
      "Arguments",
      rows(
        command.args.map((argument) => [argument.name, argument.describe]),
        screen,
      ),
      screen,
    ),
    section("Flags", rows([...flagRows(command.flags), ["--help, -h", "this text"]], screen), screen),
    command.details === undefined ? "" : `${wrap(command.details, 0)}\n`,
    section(
      "Examples",
      command.examples.map((example) => `  ${example}`),
      screen,
    ),
  ];
  return sections.filter((text) => text !== "").join("\n");
}

export function mainHelp(version: string, commands: ReadonlyMap<string, Command>, screen: Screen): string {
  const list = [...commands].map(([name, command]): [string, string] => [name, command.describe]);
  return [
    `Plinth ${version}: typed services in one process or many.\n`,
    section("Usage", ["  plinth COMMAND [arguments] [flags]"], screen),
    section("Commands", rows(list, screen), screen),
    "plinth COMMAND --help tells more of one.\n",
  ].join("\n");
}

function flagRows(flags: Flags): [string, string][] {
  return Object.entries(flags).map(([name, flag]) => [
    flag.kind === "switch" ? `--${name}` : `--${name} ${flag.value}`,
    flag.describe,
  ]);
}

function section(title: string, lines: readonly string[], screen: Screen): string {
  return lines.length === 0 ? "" : `${screen.style("bold", title)}\n${lines.join("\n")}\n`;
}

function rows(list: readonly (readonly [string, string])[], screen: Screen): string[] {
  const width = Math.max(0, ...list.map(([left]) => left.length)) + 4;
  return list.map(
    ([left, right]) => `  ${screen.style("cyan", left)}${" ".repeat(width - left.length - 2)}${wrap(right, width)}`,
  );
}

/** Breaks lines between words; those after the first begin under it. */
function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && indent + line.length + word.length + 1 > widthMax) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}
