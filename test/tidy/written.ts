import { enginesFolder } from "../../scripts/floors.ts";
import { raisedReasons } from "../../scripts/gen/errors.ts";
import { generated } from "../../scripts/gen.ts";
import type { Tree } from "../../scripts/source/tree.ts";
import type { Check, Problem } from "./check.ts";

function stale(tree: Tree): Problem[] {
  return Object.entries(generated).flatMap(([path, make]) => {
    try {
      return tree.get(path) === make(tree)
        ? []
        : [{ path, message: "is stale: run `npm run gen` and look at what changed" }];
    } catch (thrown) {
      return [{ path, message: thrown instanceof Error ? thrown.message : String(thrown) }];
    }
  });
}

/** Reasons that several rooms raise on purpose, because they mean the same thing in each. */
export const sharedReasons: Readonly<Record<string, string>> = {};

function doubleReasons(tree: Tree): Problem[] {
  const first = new Map<string, { room: string; code: string | undefined; path: string }>();
  const found: Problem[] = [];
  for (const { reason, room, code, path, line } of raisedReasons(tree)) {
    const known = first.get(reason);
    if (!known) first.set(reason, { room, code, path });
    else if (known.room !== room && !sharedReasons[reason] && !servesPort(known.room, room)) {
      found.push({
        path,
        line,
        message: `${reason} is raised by ${known.room} already (${known.path}): a reason has one room`,
      });
    } else if (known.room === room && isOther(known.code, code)) {
      found.push({
        path,
        line,
        message: `${reason} has the code ${known.code} in ${known.path} and ${code} here: a reason has one code`,
      });
    }
  }
  return found;
}

/** What stops the start may also end a call later, for the same reason. */
function isOther(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b && a !== "start" && b !== "start";
}

/** An engine speaks for its port: the reasons of the port's room are its own, and engines share them. */
function servesPort(a: string, b: string): boolean {
  return a.startsWith(`${enginesFolder}/`) || b.startsWith(`${enginesFolder}/`);
}

const unpublished = new RegExp(`(?<![\\w.$}-])/(?:${["work", "root", "home", "Users"].join("|")})/[\\w.-]+`, "g");
const hosts = /\bregistry=|"resolved": *"https?:/g;

function unpublishedPaths(tree: Tree): Problem[] {
  const found: Problem[] = [];
  for (const [path, text] of tree) {
    text.split("\n").forEach((line, index) => {
      for (const match of line.matchAll(unpublished)) {
        found.push({
          path,
          line: index + 1,
          message: `${match[0]} exists on one machine only: use a path from the root`,
        });
      }
      if (/(?:^|\/)(?:\.npmrc|package-lock\.json)$/.test(path) && hosts.test(line)) {
        found.push({
          path,
          line: index + 1,
          message: "names a package registry: leave that to the user's own settings",
        });
      }
      hosts.lastIndex = 0;
    });
  }
  return found;
}

const raise = (code: string, reason: string): string =>
  `throw error("${code}", "It broke.", { reason: "${reason}" });\n`;

export const writtenChecks: readonly Check[] = [
  {
    name: "generated files are fresh",
    find: stale,
    bad: [
      { files: { "deps.txt": "old" }, says: /deps\.txt: is stale: run `npm run gen`/ },
      { files: { "src/cli/commands/dev.ts": "" }, says: /src\/cli\/commands\/index\.gen\.ts: is stale/ },
      { files: { "src/cli/commands/index.gen.ts": "" }, says: /src\/cli\/commands\/index\.gen\.ts: is stale/ },
      { files: {}, says: /src\/engines\/index\.gen\.ts: is stale/ },
      { files: { "src/engines/redis/index.ts": "/** x */" }, says: /write the URL schemes as a list/ },
      {
        files: { "src/engines/redis/index.ts": 'export default { name: "rodis", schemes: ["redis"] };' },
        says: /name must be "redis"/,
      },
    ],
    good: Object.fromEntries(
      Object.entries(generated).flatMap(([path, make]) => {
        const text = make(new Map());
        return text === undefined ? [] : [[path, text]];
      }),
    ),
  },
  {
    name: "an error reason has one room and one code",
    find: doubleReasons,
    bad: [
      {
        files: { "src/cache/a.ts": raise("internal", "BAD_KEY"), "src/rpc/a.ts": raise("internal", "BAD_KEY") },
        says: /raised by cache already/,
      },
      {
        files: { "src/cache/a.ts": raise("internal", "BAD_KEY") + raise("not_found", "BAD_KEY") },
        says: /a reason has one code/,
      },
      {
        files: {
          "src/app/a.ts": 'throw new StartError("NO_KEY", "x");',
          "src/cache/a.ts": raise("internal", "NO_KEY"),
        },
        says: /NO_KEY is raised by app already/,
      },
    ],
    good: {
      "src/cache/a.ts": raise("internal", "BAD_KEY") + raise("internal", "BAD_KEY"),
      "src/engines/redis/a.ts": raise("internal", "BAD_KEY"),
      "src/rpc/a.ts": `${raise("internal", "BAD_FRAME")}new StartError("BAD_FRAME", "x");`,
      "src/rpc/a.test.ts": raise("internal", "BAD_KEY"),
    },
  },
  {
    name: "no file names a path or a registry of one machine",
    find: unpublishedPaths,
    bad: [
      { files: { "docs/a.md": `see ${"/wo"}rk/main/x` }, says: /exists on one machine only/ },
      { files: { "src/app/a.ts": `const x = "${"/ro"}ot/.npmrc";` }, says: /one machine/ },
      { files: { ".npmrc": "registry=http://localhost:4873/" }, says: /names a package registry/ },
      { files: { "package-lock.json": '"resolved": "http://x/y.tgz"' }, says: /names a package registry/ },
    ],
    good: {
      "docs/a.md": "https://example.com/work/1 and ./work/x",
      ".npmrc": "fund=false",
      "src/a.ts": "`$" + "{base}/root/x`",
    },
  },
];
