import { enginesFolder } from "../../scripts/floors.ts";
import { lineOf } from "../../scripts/source/imports.ts";
import { mask } from "../../scripts/source/mask.ts";
import { edgesOf, isProduct, roomOf } from "../../scripts/source/rooms.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

/** Every match of `pattern` in the part of each text that `select` gives. */
function matches(
  tree: Tree,
  covers: (path: string) => boolean,
  part: "code" | "comments",
  bans: readonly { pattern: RegExp; instead: string }[],
): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith(".ts") || !covers(path)) continue;
    for (const { pattern, instead } of bans) {
      for (const match of mask(text)[part].matchAll(pattern)) {
        const line = lineOf(text, match.index + match[0].length);
        found.push({ path, line, message: `${match[0].trim()}: ${instead}` });
      }
    }
  }
  return found;
}

const clockText = "take `clock: Clock` from base and use";
const timeBans = [
  { pattern: /\bDate\.now\b/g, instead: `${clockText} clock.now() for durations, clock.wallNow() for stamps` },
  { pattern: /\bnew Date\(\s*\)|(?<!new )(?<![\w$.])Date\(\s*\)/g, instead: `${clockText} new Date(clock.wallNow())` },
  { pattern: /\bperformance\.(?:now|timeOrigin)\b|\bprocess\.hrtime\b/g, instead: `${clockText} clock.now()` },
  {
    pattern: /(?<![\w$.])(?:globalThis\.)?set(?:Timeout|Interval)\b|\bAbortSignal\.timeout\b/g,
    instead: `${clockText} clock.after(), clock.every() or clock.sleep()`,
  },
  { pattern: /\bMath\.random\b/g, instead: "take `random: Random` from base and use random.next()" },
  {
    pattern: /\b(?:randomBytes|randomUUID|getRandomValues|randomFill|randomFillSync|randomInt)\b/g,
    instead: "take `random: Random` from base and use random.fill(), random.uint32() or createIds()",
  },
];

function timers(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    if (!outsideBase(path)) continue;
    for (const { specifier, line } of edgesOf(path, text)) {
      if (/^(?:node:)?timers(?:\/|$)/.test(specifier))
        found.push({ path, line, message: `${specifier}: ${clockText} its sleep() or after()` });
    }
  }
  return found;
}

function outsideBase(path: string): boolean {
  return isProduct(path) && roomOf(path) !== "base";
}

const written = (path: string): boolean => /^(?:src|scripts|test|examples|bench|bin)\//.test(path);
const isTypeTest = (path: string): boolean => path.endsWith(".test-d.ts");

function mayExportDefault(path: string): boolean {
  return (
    isTypeTest(path) ||
    new RegExp(`^src/${enginesFolder}/[^/]+/index\\.ts$`).test(path) ||
    /^src\/generators\/|^src\/cli\/commands\/|\/(?:fixtures?|templates|testdata)\//.test(path)
  );
}

export const banChecks: readonly Check[] = [
  {
    name: "time, timers and randomness come from base",
    find: (tree) => [...matches(tree, outsideBase, "code", timeBans), ...timers(tree)],
    bad: [
      { files: { "src/cache/a.ts": "const at = Date.now();" }, says: /Date\.now: take `clock: Clock`/ },
      { files: { "src/cache/a.ts": "const at = new Date();" }, says: /new Date\(clock\.wallNow\(\)\)/ },
      { files: { "src/cache/a.ts": "const at = performance.now();" }, says: /performance\.now/ },
      { files: { "src/cache/a.ts": "const at = process.hrtime.bigint();" }, says: /process\.hrtime/ },
      { files: { "src/cache/a.ts": "setTimeout(run, 5);" }, says: /clock\.after\(\)/ },
      { files: { "src/cache/a.ts": "globalThis.setInterval(run, 5);" }, says: /clock\.every\(\)/ },
      { files: { "src/cache/a.ts": "fetch(url, { signal: AbortSignal.timeout(5) });" }, says: /AbortSignal\.timeout/ },
      { files: { "src/cache/a.ts": "const x = `$" + "{Math.random()}`;" }, says: /random\.next\(\)/ },
      { files: { "src/cache/a.ts": 'import { randomUUID } from "node:crypto";' }, says: /createIds\(\)/ },
      { files: { "src/cache/a.ts": "crypto.getRandomValues(bytes);" }, says: /random\.fill\(\)/ },
      {
        files: { "src/cache/a.ts": 'import { setTimeout as sleep } from "node:timers/promises";' },
        says: /node:timers\/promises/,
      },
    ],
    good: {
      "src/base/clock.ts": "export const now = () => Date.now();",
      "src/cache/a.ts":
        '// not Date.now()\nconst x = "Math.random()"; const d = new Date(clock.wallNow()); socket.setTimeout(0);',
      "src/cache/a.test.ts": "setTimeout(run, 5);",
    },
  },
  {
    name: "only cli writes to the console",
    find: (tree) =>
      matches(tree, (path) => isProduct(path) && roomOf(path) !== "cli", "code", [
        {
          pattern: /(?<![\w$.])console\.\w+/g,
          instead: "take a logger as an argument, or return what is to be printed",
        },
      ]),
    bad: [{ files: { "src/app/a.ts": 'console.log("here");' }, says: /console\.log: take a logger/ }],
    good: {
      "src/cli/a.ts": 'console.log("here");',
      "src/app/a.ts": "// console.log\n",
      "src/app/a.test.ts": "console.log(1);",
    },
  },
  {
    name: "the type checker is never overruled",
    find: (tree) => [
      ...matches(tree, (path) => written(path) && !isTypeTest(path), "comments", [
        {
          pattern: /(?:\/\/|\/\*+|^ *\*) *@ts-(?:ignore|nocheck|expect-error)/gm,
          instead: "say it so that the compiler understands it",
        },
      ]),
      ...matches(tree, (path) => written(path) && !isTypeTest(path), "code", [
        { pattern: /\bas any\b/g, instead: "name the type, or check the value and use `unknown`" },
      ]),
    ],
    bad: [
      { files: { "src/app/a.ts": "const x = y as any;" }, says: /as any: name the type/ },
      { files: { "src/app/a.test.ts": "// @ts-ignore\nf(1);" }, says: /@ts-ignore/ },
      { files: { "scripts/a.ts": "/* @ts-expect-error */ f(1);" }, says: /@ts-expect-error/ },
      { files: { "test/a.ts": "// @ts-nocheck\n" }, says: /@ts-nocheck/ },
    ],
    good: {
      "src/app/a.test-d.ts": "// @ts-expect-error: no such field\nf(1 as any);",
      "src/app/a.ts": 'const s = "as any";',
    },
  },
  {
    name: "nothing is left for later",
    find: (tree) =>
      matches(tree, written, "comments", [
        {
          pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g,
          instead: "do it now, or open an issue and say in words what holds today",
        },
      ]),
    bad: [
      { files: { "src/app/a.ts": "// TODO: later\n" }, says: /TODO: do it now/ },
      { files: { "test/a.test.ts": "/* FIXME */" }, says: /FIXME/ },
    ],
    good: { "src/app/a.ts": 'const words = ["TODO"]; // a list of todos\n' },
  },
  {
    name: "names are exported by name",
    find: (tree) =>
      matches(tree, (path) => path.startsWith("src/") && !mayExportDefault(path), "code", [
        {
          pattern: /^export default\b|^export\s*\{[^}]*\bas default\b/gm,
          instead: "export a name, so that it is the same word everywhere",
        },
      ]),
    bad: [
      { files: { "src/app/a.ts": "export default 1;" }, says: /export a name/ },
      { files: { "src/app/a.ts": "export { x as default };" }, says: /export a name/ },
      { files: { "src/engines/redis/cache.ts": "export default 1;" }, says: /export a name/ },
    ],
    good: {
      "src/engines/redis/index.ts": "export default 1;",
      "src/cli/commands/dev.ts": "export default 1;",
      "examples/a.ts": "export default 1;",
    },
  },
];
