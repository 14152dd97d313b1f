import { enginesFolder } from "../floors.ts";
import { mask } from "../source/mask.ts";
import type { Tree } from "../source/tree.ts";
import { propertyName } from "./lists.ts";

export interface EngineFacts {
  readonly name: string;
  readonly schemes: readonly string[];
  readonly package: string | undefined;
  readonly ports: readonly string[];
  readonly about: string;
}

/** What each `src/engines/NAME/index.ts` says about itself, read from its text so that no driver needs to be loaded. */
export function engineFacts(tree: Tree): EngineFacts[] {
  const found: EngineFacts[] = [];
  for (const [path, text] of tree) {
    const folder = new RegExp(`^src/${enginesFolder}/([^/]+)/index\\.ts$`).exec(path)?.[1];
    if (folder) found.push(factsOf(path, folder, text));
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function factsOf(path: string, folder: string, text: string): EngineFacts {
  const { code } = mask(text);
  const start = code.search(/\bschemes:\s*\[/);
  const schemes = start === -1 ? [] : strings(text.slice(start, code.indexOf("]", start)));
  if (schemes.length === 0) throw new Error(`${path}: write the URL schemes as a list: schemes: ["${folder}"]`);
  const name = /\bname:\s*"([^"]+)"/.exec(text)?.[1];
  if (name !== folder) throw new Error(`${path}: name must be "${folder}", the name of its folder`);
  return {
    name,
    schemes,
    package: /\bpackage:\s*"([^"]+)"/.exec(text)?.[1],
    ports: ["database", "cache", "broker", "limiter", "lease"].filter((port) => declaresPort(code, port)),
    about: firstSentence(text),
  };
}

function declaresPort(code: string, port: string): boolean {
  const start = code.search(/\bports:\s*\{/);
  return start !== -1 && new RegExp(`\\b${port}\\b\\s*[:,(}]`).test(code.slice(start));
}

function strings(text: string): string[] {
  return [...text.matchAll(/"([^"]+)"/g)].map((match) => match[1] as string);
}

function firstSentence(text: string): string {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? "";
  const flat = comment
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  return (/^.*?[.:](?= |$)/.exec(flat)?.[0] ?? flat).replace(/:$/, ".");
}

/** `src/engines/index.gen.ts`: the one list that names all engines. */
export function enginesListText(tree: Tree): string {
  const facts = engineFacts(tree);
  const loaders = facts.map(({ name }) => `  ${propertyName(name)}: () => import("./${name}/index.ts"),`);
  const schemes = facts.flatMap(({ name, schemes: list }) => list.map((scheme) => [scheme, name] as const));
  const twice = schemes.find(([scheme], index) => schemes.findIndex(([other]) => other === scheme) !== index);
  if (twice) throw new Error(`src/engines/${twice[1]}: another engine has the URL scheme "${twice[0]}" already`);
  return `// Written by \`npm run gen\` from the folders beside it. A new engine is a new folder; nothing is edited here.

/** Every engine by name, loaded when first asked for. */
export const engines = {
${loaders.join("\n")}
} as const;

/** URL scheme → the name of the engine that serves it. */
export const engineOfScheme: Readonly<Record<string, keyof typeof engines>> = {
${schemes.map(([scheme, name]) => `  ${propertyName(scheme)}: "${name}",`).join("\n")}
};
`;
}

/** `docs/engines.md`: what can stand behind which port. */
export function enginesDocText(tree: Tree): string {
  const rows = engineFacts(tree).map((engine) =>
    [
      engine.name,
      engine.schemes.map((scheme) => `\`${scheme}:\``).join(" "),
      engine.ports.join(", "),
      packageText(engine),
      engine.about,
    ].join(" | "),
  );
  return `# Engines

An engine is picked by the scheme of a URL in the settings. Each one passes the conformance suite of its ports.
Written by \`npm run gen\` from \`src/engines/*/index.ts\`.

| engine | URL | ports | package | what it is |
|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join("\n")}
${resultsText(tree)}`;
}

/** Written by \`plinth verify engine URL --record\`; the only part of the page that needed servers. */
export const resultsPath = "docs/engines.results.json";

/** By engine and port, each case: "passed", "failed", or "skipped: " and why. */
type Results = Readonly<
  Record<
    string,
    { readonly guarantee: string; readonly ports: Readonly<Record<string, Readonly<Record<string, string>>>> }
  >
>;

/** Port × engine × case, as it came out when the suites last ran. */
function resultsText(tree: Tree): string {
  const text = tree.get(resultsPath);
  if (text === undefined) return "";
  const results = JSON.parse(text) as Results;
  const engines = Object.keys(results);
  const ports = [...new Set(engines.flatMap((engine) => Object.keys(results[engine]?.ports ?? {})))].sort();
  const guarantees = engines.map((engine) => `| ${engine} | ${results[engine]?.guarantee} |`).join("\n");
  return `
## What each engine proved

The conformance suites of the ports, as they came out when they last ran: \`plinth verify engine URL --record
${resultsPath}\` runs them on a server of yours and writes them down; see \`verify.md\`. The broker of pglite and postgres is
the default one, in their tables. "memory" stands for the reference drivers.

| engine | guarantee |
|---|---|
${guarantees}
${ports.map((port) => portText(port, results)).join("")}`;
}

function portText(port: string, results: Results): string {
  const engines = Object.keys(results).filter((engine) => results[engine]?.ports[port]);
  const outcomes = engines.map((engine) => results[engine]?.ports[port] ?? {});
  const names = [...new Set(outcomes.flatMap((cases) => Object.keys(cases)))];
  const reasons: string[] = [];
  const cell = (outcome: string | undefined): string => {
    const why = /^skipped: (.*)$/s.exec(outcome ?? "skipped: not run")?.[1];
    if (why === undefined) return outcome ?? "";
    if (!reasons.includes(why)) reasons.push(why);
    return `skipped (${reasons.indexOf(why) + 1})`;
  };
  const rows = names.map(
    (name) => `| ${name.replaceAll("|", "\\|")} | ${outcomes.map((cases) => cell(cases[name])).join(" | ")} |`,
  );
  const sums = engines.map((engine, i) => {
    const passed = Object.values(outcomes[i] ?? {}).filter((outcome) => outcome === "passed").length;
    return `${engine} ${passed} of ${names.length}`;
  });
  const notes = reasons.map((why, i) => `${i + 1}. ${why}`).join("\n");
  return `
### ${port}: ${sums.join(", ")}

| case | ${engines.join(" | ")} |
|---|${engines.map(() => "---|").join("")}
${rows.join("\n")}
${notes === "" ? "" : `\n${notes}\n`}`;
}

function packageText(engine: EngineFacts): string {
  return engine.package ? `\`${engine.package}\`` : "none";
}
