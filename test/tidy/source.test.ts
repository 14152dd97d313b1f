import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { raisedReasons } from "../../scripts/gen/errors.ts";
import { importsOf, packageOf } from "../../scripts/source/imports.ts";
import { mask } from "../../scripts/source/mask.ts";
import { roomOf } from "../../scripts/source/rooms.ts";
import { parseIgnore } from "../../scripts/source/tree.ts";
import { functionsOf } from "./sizes.ts";

/** What a template has around its holes. */
const hole = (inside: string): string => `\${${inside}}`;

describe("mask", () => {
  const cases: readonly (readonly [text: string, code: string])[] = [
    ['a("b // c") // d', 'a("      ")     '],
    ["a /* b\n c */ d", "a     \n      d"],
    ["x = 'it\\'s' + y", "x = '     ' + y"],
    [`x = \`a ${hole("b(`c `)")} d\``, `x = \`  ${hole("b(`  `)")}  \``],
    [`x = \`${hole("{ a: 1 }.a")}{\``, `x = \`${hole("{ a: 1 }.a")} \``],
    ['x = /["/*]/g.test(y) // z', "x = /     /g.test(y)     "],
    ["a / b / c // d", "a / b / c     "],
    ["return /'/", "return / /"],
  ];
  for (const [text, code] of cases) {
    test(`blanks what does not run: ${text.replace("\n", "⏎")}`, () => assert.equal(mask(text).code, code));
  }

  test("keeps comments apart, at their place", () => {
    assert.equal(mask("a; // b\nc;").comments, "   // b\n  ");
  });

  test("comes to an end on text that breaks off", () => {
    for (const text of ['"', "`", `\`${hole("").slice(0, 2)}`, "/*", "x = /a", "'\\"])
      assert.equal(mask(text).code.length, text.length);
  });
});

describe("importsOf", () => {
  const kinds = (text: string) =>
    importsOf(text).map((item) => `${item.kind}${item.typeOnly ? " type" : ""} ${item.specifier}`);

  test("sees each way to name a module", () => {
    const text = [
      'import a from "./a.ts";',
      'import * as b from "b";',
      'import type { C } from "./c.ts";',
      "import {\n  type D,\n  type E,\n} from './d.ts';",
      'import f, { type G } from "./f.ts";',
      'export * from "./h.ts";',
      'export type { I } from "./i.ts";',
      'import "./j.ts";',
      'const k = await import("./k.ts");',
      'type L = typeof import("./l.ts");',
      'new Worker(new URL("./m.ts", import.meta.url));',
      'import.meta.resolve("n");',
    ].join("\n");
    assert.deepEqual(kinds(text), [
      "static ./a.ts",
      "static b",
      "static type ./c.ts",
      "static type ./d.ts",
      "static ./f.ts",
      "static ./h.ts",
      "static type ./i.ts",
      "static ./j.ts",
      "lazy ./k.ts",
      "lazy type ./l.ts",
      "url ./m.ts",
      "url n",
    ]);
  });

  test("is not taken in by comments, strings, templates and other words", () => {
    const text =
      '// import "a"\n/* import("b") */\nconst x = "import(\\"c\\")";\nconst y = `\nimport "d";\n`;\nArray.from("e");\nnew URL("http://f");';
    assert.deepEqual(kinds(text), []);
  });

  test("counts lines from 1", () => {
    assert.equal(importsOf('\n\nimport {\n  a,\n} from "./a.ts";')[0]?.line, 5);
  });

  test("tells a package from a path", () => {
    const names = ["pg/lib/x.js", "@redis/client", "@a/b/c", "node:fs", "./x.ts", "#x"].map(packageOf);
    assert.deepEqual(names, ["pg", "@redis/client", "@a/b", undefined, undefined, undefined]);
  });
});

describe("roomOf", () => {
  test("knows the rooms, each engine and the package's own doors", () => {
    const paths = [
      "src/cache/x.ts",
      "src/cli/commands/x.ts",
      "src/engines/redis/x.ts",
      "src/engines/index.gen.ts",
      "src/index.ts",
      "bin/x.js",
      "test/x.ts",
    ];
    assert.deepEqual(paths.map(roomOf), ["cache", "cli", "engines/redis", undefined, undefined, "cli", undefined]);
  });
});

describe("functionsOf", () => {
  test("measures each function without the functions inside", () => {
    const text = [
      "export function outer<T>(a: { b: string }): Promise<void> {",
      "  if (a) {",
      "    work();",
      "  }",
      "  const inner = async (x: number): Promise<{ y: number }> => {",
      "    work();",
      "    work();",
      "  };",
      "  for (const x of y) {",
      "    work();",
      "  }",
      "  return { inner };",
      "}",
      "class A {",
      "  readonly #b = { c: 1 };",
      "  get d(): string {",
      "    return this.#b;",
      "  }",
      "}",
    ].join("\n");
    const other =
      "function a(): B {\n  return c;\n}\n\ninterface D {\n  e: 1;\n}\n\nclass F implements B {\n  g = 1;\n}";
    assert.deepEqual(
      functionsOf(other).map((item) => item.name),
      ["a"],
    );
    const sizes = functionsOf(text).map(({ name, line, lines }) => `${name}@${line}=${lines}`);
    assert.deepEqual(sizes, ["inner@5=4", "outer@1=11", "d@16=3"]);
  });
});

describe("parseIgnore", () => {
  test("reads names, stars, folders and paths", () => {
    const ignored = parseIgnore("# x\nnode_modules/\n*.log\n/docs/api\n");
    assert.ok(ignored("a/node_modules", true) && ignored("a/b.log", false) && ignored("docs/api", true));
    assert.ok(!ignored("node_modules", false) && !ignored("a/docs/api", true) && !ignored("a.logs", false));
  });

  test("refuses what it does not understand rather than read too much", () => {
    assert.throws(() => parseIgnore("!keep"), /not understood/);
  });
});

describe("raisedReasons", () => {
  const read = (text: string) =>
    raisedReasons(new Map([["src/cache/a.ts", text]])).map(({ reason, code, message }) => [reason, code, message]);

  test("finds the code and the message around a reason", () => {
    const inside = hole("a.b({ c: 1 })");
    assert.deepEqual(
      read(`throw error("not_found", \`No "${inside}" here.\`, {\n  details: { a },\n  reason: "NO_SUCH_KEY",\n});`),
      [["NO_SUCH_KEY", "not_found", 'No "…" here.']],
    );
    assert.deepEqual(read('new StartError("KEY_MISSING", ["Set KEY.", "b"])'), [["KEY_MISSING", "start", "Set KEY."]]);
    assert.deepEqual(read('const e = { reason: "FULL", code: "resource_exhausted", message: "It is full." };'), [
      ["FULL", "resource_exhausted", "It is full."],
    ]);
  });

  test("leaves alone what is no reason of ours", () => {
    assert.deepEqual(read('const x = { reason: "because", other: "X_Y" }; // reason: "A_B"'), []);
  });
});
