import { posix } from "node:path";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

/** What a document says is shown by a test, is shown by a test that there is. */

interface Definition {
  readonly target: string;
  readonly title: string | undefined;
}

const definition = /^\[([^\]]+)\]: (\S+?)(?: "(.*)")?$/;
const testFile = /\.test\.ts$|(?:^|\/)suite\.ts$/;

function missingFiles(tree: Tree): Problem[] {
  const folders = new Set([...tree.keys()].flatMap((path) => foldersOf(path)));
  return documents(tree).flatMap(({ path, lines }) =>
    lines.flatMap((text, index) =>
      targetsIn(text)
        .map((target) => posix.normalize(posix.join(posix.dirname(path), target.replace(/\/$/, ""))))
        .filter((target) => !target.startsWith("..") && !tree.has(target) && !folders.has(target))
        .map((target) => ({ path, line: index + 1, message: `leads to ${target}, which there is not` })),
    ),
  );
}

function missingTests(tree: Tree): Problem[] {
  return documents(tree).flatMap(({ path, lines }) => {
    const found: Problem[] = [];
    const known = new Map<string, Definition>();
    lines.forEach((text, index) => {
      const [, id = "", target = "", title] = definition.exec(text) ?? [];
      if (id === "") return;
      known.set(id, { target, title });
      const file = posix.join(posix.dirname(path), target);
      if (title === undefined || !testFile.test(target) || !tree.has(file)) return;
      if (!namesIn(tree.get(file) as string).some((name) => name.test(title))) {
        found.push({ path, line: index + 1, message: `${file} has no test "${title}"` });
      }
    });
    return [...found, ...unproven(path, lines, known)];
  });
}

/** In a table with a column of our own, each yes in it names tests: `yes: [routes][r-hosts]`. */
function unproven(path: string, lines: readonly string[], known: ReadonlyMap<string, Definition>): Problem[] {
  let isOurs = false;
  return lines.flatMap((text, index): Problem[] => {
    const cells = text.startsWith("|") ? text.split("|").map((cell) => cell.trim()) : [];
    if (cells.length === 0) isOurs = false;
    if (cells[2] === "Plinth") isOurs = true;
    const [, claim = "", ours = ""] = cells;
    if (!isOurs || !/^yes\b/.test(ours)) return [];
    const ids = [...ours.matchAll(/\]\[([^\]]+)\]/g)].map(([, id = ""]) => id);
    const wrong = (message: string): Problem => ({ path, line: index + 1, message });
    if (ids.length === 0) return [wrong(`"${claim}" is a yes without a test: [what it shows][id]`)];
    return ids
      .filter((id) => known.get(id)?.title === undefined)
      .map((id) => wrong(`[${id}] names no test: [${id}]: ../src/NAME.test.ts "the name of the test"`));
  });
}

function documents(tree: Tree): { readonly path: string; readonly lines: readonly string[] }[] {
  return [...tree]
    .filter(([path]) => /^(?:docs\/)?[\w-]+\.md$/.test(path))
    .map(([path, text]) => ({ path, lines: withoutCode(text) }));
}

/** The same number of lines: what stands in blocks of code is no link. */
function withoutCode(text: string): string[] {
  let isCode = false;
  return text.split("\n").map((line) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    return isCode ? "" : line.replace(/`[^`]*`/g, "");
  });
}

/** Relative ones, without what stands behind "#". */
function targetsIn(line: string): string[] {
  const inline = [...line.matchAll(/\]\(([^()\s]+)(?: "[^"]*")?\)/g)].map(([, target = ""]) => target);
  const defined = definition.exec(line)?.[2];
  return [...inline, ...(defined === undefined ? [] : [defined])]
    .filter((target) => !/^(?:[a-z]+:|#)/.test(target))
    .map((target) => target.replace(/#.*$/, ""));
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.map((_, i) => parts.slice(0, i).join("/"));
}

/** The names of the tests in a file, and of the proofs in a suite; what a template puts in may be anything. */
function namesIn(text: string): RegExp[] {
  const named = /(?:\b(?:test|it|describe)\(|\bname:)\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g;
  return [...text.matchAll(named)].map(([, plain, template]) => {
    const parts = plain === undefined ? (template as string).split(/\$\{[^}]*\}/) : [plain.replace(/\\(.)/g, "$1")];
    return new RegExp(`^${parts.map((part) => part.replace(/[.+*?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`);
  });
}

const table = (ours: string): string =>
  `|  | Plinth | Others |\n| --- | --- | --- |\n| Routes by host | ${ours} | yes |\n\n`;

export const linkChecks: readonly Check[] = [
  {
    name: "documents lead to files that there are",
    find: missingFiles,
    bad: [
      { files: { "docs/a.md": "see [it](b.md)" }, says: /^docs\/a\.md:1: leads to docs\/b\.md, which there is not$/ },
      { files: { "README.md": "\n[it]: src/gone.ts" }, says: /^README\.md:2: leads to src\/gone\.ts/ },
    ],
    good: {
      "docs/a.md":
        "see [it](b.md#part), [that](../src), [x](https://a.example/b.md), `[no](link.md)`\n\n```md\n[no](z.md)\n```",
      "docs/b.md": "[up](../README.md)",
      "README.md": "[a](docs/a.md), [here](#here)",
      "src/index.ts": "",
    },
  },
  {
    name: "a yes in our column of a comparison names a test, and the test is there",
    find: missingTests,
    bad: [
      { files: { "docs/a.md": table("yes") }, says: /"Routes by host" is a yes without a test/ },
      { files: { "docs/a.md": table("yes: [hosts](../src/a.test.ts)") }, says: /is a yes without a test/ },
      { files: { "docs/a.md": table("yes: [hosts][h]") }, says: /\[h\] names no test/ },
      {
        files: {
          "docs/a.md": `${table("yes: [hosts][h]")}[h]: ../src/a.test.ts "is gone"`,
          "src/a.test.ts": 'test("is here", () => {});',
        },
        says: /src\/a\.test\.ts has no test "is gone"/,
      },
    ],
    good: {
      "docs/a.md": `${table("yes: [hosts][h], [ports][p], [all][s]")}[h]: ../src/a.test.ts "is here"\n[p]: ../src/a.test.ts "takes 80"\n[s]: ../src/suite.ts "holds"\n\n${table("no")}`,
      "src/a.test.ts": `test("is here", () => {});\nit(\n  \`takes \${port}\`, () => {});`,
      "src/suite.ts": 'const proofs = [{ name: "holds" }];',
    },
  },
];
