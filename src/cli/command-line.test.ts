import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../base/index.ts";
import { defineCommand } from "./command.ts";
import { parseCommandLine } from "./command-line.ts";

const command = defineCommand({
  describe: "Does nothing",
  args: [
    { name: "WHAT", describe: "what to do it with" },
    { name: "MORE", describe: "what else", optional: true },
  ],
  flags: {
    json: { kind: "switch", describe: "as JSON" },
    out: { kind: "text", value: "FILE", describe: "into a file" },
    count: { kind: "number", value: "N", min: 1, max: 9, describe: "how often" },
  },
  examples: [],
  run: async () => 0,
});

const parse = (...line: string[]) => parseCommandLine("none", command, line);

function refusal(...line: string[]): string {
  try {
    parse(...line);
  } catch (thrown) {
    assert.ok(thrown instanceof StartError);
    assert.equal(thrown.reason, "USAGE_WRONG");
    return thrown.message;
  }
  return assert.fail("it was accepted");
}

test("arguments and flags are read in any order, with the value beside or after =", () => {
  const { args, flags } = parse("--json", "a", "--out", "x.txt", "b", "--count=3");
  assert.deepEqual(args, ["a", "b"]);
  assert.deepEqual({ ...flags }, { json: true, out: "x.txt", count: 3 });
});

test("what is not given is false or undefined", () => {
  assert.deepEqual({ ...parse("a").flags }, { json: false, out: undefined, count: undefined });
});

test("of a flag that is given twice the last one counts", () => {
  assert.equal(parse("a", "--out=x", "--out=y").flags.out, "y");
});

test("what stands after -- is left as it is", () => {
  const { args, rest } = parse("a", "--", "--json", "b");
  assert.deepEqual({ args, rest }, { args: ["a"], rest: ["--json", "b"] });
});

test("a value may begin with a dash where it is written with =", () => {
  assert.equal(parse("a", "--out=--x").flags.out, "--x");
});

test("refuses, all at once, each with what to do", () => {
  const message = refusal("--otu", "--count", "12", "--json=yes", "-x");
  assert.match(message, /--otu: there is no such flag; did you mean --out\?/);
  assert.match(message, /--count: "12" is no whole number from 1 to 9\./);
  assert.match(message, /--json: it takes no value; write --json alone\./);
  assert.match(message, /-x: there is no such flag\./);
  assert.match(message, /WHAT is missing: what to do it with\.\n {2}plinth none --help/);
});

test("refuses a flag without its value", () => {
  assert.match(refusal("a", "--out"), /--out: it needs a value; write --out FILE\./);
  assert.match(refusal("a", "--out", "--json"), /--out: it needs a value/);
  assert.match(refusal("a", "--out="), /--out: it needs a value/);
});

test("refuses numbers that are none", () => {
  for (const text of ["0", "10", "1.5", "x", "1e1"]) assert.match(refusal("a", "--count", text), /whole number/);
});

test("refuses an argument too many", () => {
  assert.match(refusal("a", "b", "c"), /"c" is one argument too many; plinth none takes 2\./);
});

test("refuses names that every object has", () => {
  assert.match(refusal("a", "--constructor"), /--constructor: there is no such flag/);
});

test("takes all that follow where the last argument may be many", () => {
  const many = defineCommand({ ...command, args: [{ name: "FILE", describe: "files", optional: true, many: true }] });
  assert.deepEqual(parseCommandLine("many", many, ["a", "b", "c"]).args, ["a", "b", "c"]);
  assert.deepEqual(parseCommandLine("many", many, []).args, []);
});
