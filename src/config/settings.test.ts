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
