import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import {
  addresses,
  describeSettings,
  duration,
  flag,
  integer,
  list,
  oneOf,
  optional,
  port,
  ratio,
  readSettings,
  secret,
  size,
  text,
  url,
  withEnvFile,
} from "./index.ts";
import { likeness } from "./likeness.ts";

const about = { description: "what the test reads" };

function failureOf(run: () => unknown): StartError {
  try {
    run();
  } catch (thrown) {
    assert.ok(thrown instanceof StartError);
    return thrown;
  }
  return assert.fail("it was accepted");
}

const accepted: readonly [claim: string, setting: any, given: string, value: unknown][] = [
  ["a text", text(about), "hello", "hello"],
  ["a secret", secret(about), "0123456789abcdef", "0123456789abcdef"],
  ["an integer", integer(about), "42", 42],
  ["a negative integer where allowed", integer({ ...about, min: -5 }), "-5", -5],
  ["a ratio", ratio(about), "0.25", 0.25],
  ["a flag", flag(about), "TRUE", true],
  ["a flag as a digit", flag(about), "0", false],
  ["a duration", duration(about), "30s", 30_000],
  ["a size", size(about), "2kb", 2048],
  ["a port", port(about), "8080", 8080],
  ["an address", url(about), "postgres://a:b@c/d", "postgres://a:b@c/d"],
  ["one of a list", oneOf(["a", "b"], about), "b", "b"],
  [
    "addresses",
    addresses(about),
    "orders=h:1, [::1]:2;edge=e:3",
    new Map([
      ["orders", ["h:1", "[::1]:2"]],
      ["edge", ["e:3"]],
    ]),
  ],
];
for (const [claim, setting, given, value] of accepted) {
  test(`reads ${claim}`, () =>
    assert.deepEqual(readSettings({ x: { variable: "X", setting } }, { X: given }).x, value));
}

const refused: readonly [claim: string, setting: any, given: string][] = [
  ["a secret that is too short", secret(about), "short"],
  ["an integer with a fraction", integer(about), "1.5"],
  ["an integer above its limit", integer({ ...about, max: 3 }), "4"],
  ["a ratio above 1", ratio(about), "1.1"],
  ["a ratio of blanks", ratio(about), " "],
  ["a flag that is a word", flag(about), "yes"],
  ["a duration without sense", duration(about), "soon"],
  ["a size without sense", size(about), "big"],
  ["a port that is none", port(about), "70000"],
  ["an address that is none", url(about), "not an address"],
  ["a value outside a list", oneOf(["a", "b"], about), "c"],
  ["addresses without a port", addresses(about), "orders=h"],
  ["addresses without a name", addresses(about), "h:1"],
];
for (const [claim, setting, given] of refused) {
  test(`refuses ${claim}, with the variable, what is expected and an example`, () => {
    const failure = failureOf(() => readSettings({ x: { variable: "X", setting } }, { X: given }));
    assert.equal(failure.reason, "SETTINGS_INVALID");
    assert.match(failure.message, /^X: .*is not (a|one|true).*what the test reads; write for example X=/);
  });
}

test("everything missing or wrong is told at once, and no secret is shown", () => {
  const spec = {
    a: { variable: "A", setting: text(about) },
    b: { variable: "B", setting: secret(about) },
    c: { variable: "C", setting: integer(about) },
  };
  const failure = failureOf(() => readSettings(spec, { A: "", B: "tiny-secret", C: "x" }));
  assert.equal(failure.problems.length, 3);
  assert.match(failure.message, /^A: it is not set\./);
  assert.doesNotMatch(failure.message, /tiny-secret/);
});

test("what is not set has its default, or is undefined where it is optional", () => {
  const spec = {
    a: { variable: "A", setting: text({ ...about, default: "d" }) },
    b: { variable: "B", setting: optional(url(about)) },
  };
  assert.deepEqual({ ...readSettings(spec, {}) }, { a: "d", b: undefined });
});

test("settings describe themselves without their secrets", () => {
  const spec = {
    a: { variable: "A", setting: integer({ ...about, default: 3 }) },
    b: { variable: "B", setting: secret({ ...about, default: "0123456789abcdef" }) },
  };
  assert.deepEqual(
    describeSettings(spec).map((each) => [each.variable, each.required, each.default]),
    [
      ["A", false, "3"],
      ["B", false, null],
    ],
  );
});

test("a .env file adds what the environment leaves open; none adds nothing; one that is a folder is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-config-"));
  try {
    const file = join(folder, ".env");
    assert.deepEqual(withEnvFile({ A: "1" }, file), { A: "1" });
    writeFileSync(file, 'A=2\nB="two words"\n');
    assert.deepEqual({ ...withEnvFile({ A: "1" }, file) }, { A: "1", B: "two words" });
    assert.equal(failureOf(() => withEnvFile({}, folder)).reason, "ENV_FILE_UNREADABLE");
    writeFileSync(file, `A=${"x".repeat(1024 * 1024)}`);
    assert.match(failureOf(() => withEnvFile({}, file)).message, /larger than/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("reads lists, and refuses one with a wrong or empty item, or too many", () => {
  const read = (given: string) =>
    readSettings({ x: { variable: "X", setting: list(port(about), about) } }, { X: given }).x;
  assert.deepEqual(read("1, 2,3"), [1, 2, 3]);
  for (const given of ["1,x", "1,,2", ",", Array(1001).fill(1).join(",")]) {
    assert.match(failureOf(() => read(given)).message, /is not a list with commas of which each is a port/);
  }
});

test("reads numbers within their bounds only, and 0 as plain 0", () => {
  const read = (setting: any, given: string) => readSettings({ x: { variable: "X", setting } }, { X: given }).x;
  const pause = duration({ ...about, min: 1000, max: 60_000 });
  assert.equal(read(pause, "1s"), 1000);
  assert.match(failureOf(() => read(pause, "999ms")).message, /a duration of at least 1000ms and at most 60000ms/);
  assert.match(failureOf(() => read(size({ ...about, max: 10 }), "1kb")).message, /a size of at most 10 bytes/);
  assert.ok(Object.is(read(integer(about), "-0"), 0));
  for (const given of ["9007199254740993", "1e3", "0x10", " 1"]) failureOf(() => read(integer(about), given));
  for (const given of ["0x1", "1e-3", "."]) failureOf(() => read(ratio(about), given));
});

test("refuses a default that breaks its own rule", () => {
  const wrong = [
    () => integer({ ...about, max: 3, default: 4 }),
    () => ratio({ ...about, default: 2 }),
    () => oneOf(["a"], { ...about, default: "b" as "a" }),
    () => url({ ...about, default: "nowhere" }),
  ];
  for (const make of wrong) assert.equal(failureOf(make).reason, "SETTING_WRONG");
  assert.doesNotMatch(failureOf(() => url({ ...about, default: "nowhere" })).message, /nowhere/);
});

test("refuses an address of another scheme", () => {
  const spec = { x: { variable: "X", setting: url({ ...about, schemes: ["postgres", "postgresql"] }) } };
  assert.equal(readSettings(spec, { X: "postgresql://h/d" }).x, "postgresql://h/d");
  const failure = failureOf(() => readSettings(spec, { X: "mysql://u:hunter22@h/d" }));
  assert.match(failure.message, /begins with postgres:\/\/ or postgresql:\/\/\..*X=postgres:\/\//);
  assert.doesNotMatch(failure.message, /hunter22/);
});

test("says who needs a setting, and which variable was perhaps meant", () => {
  const spec = { x: { variable: "DATABASE_URL", setting: url(about), neededBy: 'service "catalog"' } };
  const failure = failureOf(() => readSettings(spec, { DATABSE_URL: "postgres://h", OTHER: "1" }));
  assert.match(failure.message, /DATABSE_URL is set: perhaps a slip of the pen\? .* for service "catalog"; set it to/);
  assert.doesNotMatch(failureOf(() => readSettings(spec, { CACHE_URL: "redis://h" })).message, /slip/);
  assert.match(failureOf(() => readSettings(spec, { DATABASE_URL: "x" })).message, /for service "catalog"; write/);
});

test("shows only the beginning of a long wrong value", () => {
  const failure = failureOf(() =>
    readSettings({ x: { variable: "X", setting: integer(about) } }, { X: "y".repeat(500) }),
  );
  assert.match(failure.message, /X: "y{60}…" is not/);
});

test("hands every secret to whoever hides it, with the passwords of addresses, and never a default", () => {
  const spec = {
    a: { variable: "A", setting: secret(about) },
    b: { variable: "B", setting: url(about) },
    c: { variable: "C", setting: list(secret(about), about) },
    d: { variable: "D", setting: text(about) },
    e: { variable: "E", setting: url({ ...about, default: "redis://h" }) },
    f: { variable: "F", setting: url(about) },
  };
  const hidden: string[] = [];
  const [one, two] = ["1".repeat(16), "2".repeat(16)];
  readSettings(
    spec,
    { A: "0123456789abcdef", B: "postgres://u:p%40ss@h/d", C: `${one},${two}`, D: "open", F: "redis://:%zz@h" },
    { onSecret: (value) => void hidden.push(value) },
  );
  const expected = ["0123456789abcdef", "postgres://u:p%40ss@h/d", "p%40ss", "p@ss", `${one},${two}`, one, two];
  assert.deepEqual(hidden, [...expected, "redis://:%zz@h", "%zz", "%zz"]);
});

test("refuses a specification with a name that is none, or the same variable twice", () => {
  const setting = text({ ...about, default: "" });
  const failure = failureOf(() =>
    readSettings({ a: { variable: "a-b", setting }, b: { variable: "B", setting }, c: { variable: "B", setting } }, {}),
  );
  assert.equal(failure.reason, "SETTING_WRONG");
  assert.deepEqual(failure.problems, [
    'setting "a": variable "a-b" is no name; write it like DATABASE_URL.',
    'setting "c": B is the variable of "b" already; choose another.',
  ]);
});

test("likeness counts letters put in, left out, changed and swapped, up to 2", () => {
  const cases: [string, string, number][] = [
    ["DATABASE_URL", "DATABASE_URL", 0],
    ["DATABASE_URL", "DATABSE_URL", 1],
    ["DATABASE_URL", "DATABASE_URLS", 1],
    ["DATABASE_URL", "DATABASE_ULR", 1],
    ["DATABASE_URL", "DATABASE-URI", 2],
    ["DATABASE_URL", "DATABASE", 3],
    ["DATABASE_URL", "TATAPASE_ORL", 3],
    ["PORT", "SORT", 3],
  ];
  for (const [a, b, expected] of cases) assert.equal(likeness(a, b), expected, `${a} ${b}`);
});

test("a .env file may begin with a mark and end its lines as on Windows; an unset variable does not hide its value", () => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-config-"));
  try {
    const file = join(folder, ".env");
    writeFileSync(file, '\ufeffA=1\r\n# remark\r\nB="x # y"\r\nexport C=3\r\n');
    assert.deepEqual({ ...withEnvFile({ A: undefined, B: "" }, file) }, { A: "1", B: "", C: "3" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
