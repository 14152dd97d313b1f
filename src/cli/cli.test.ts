import assert from "node:assert/strict";
import { test } from "node:test";
import { commands } from "./commands/index.gen.ts";
import { hello, run } from "./terminal.fixture.ts";

const names = Object.keys(commands);

test("help lists every command with what it does, on standard output", async () => {
  for (const line of [["--help"], ["-h"], ["help"]]) {
    const { code, out, err } = await run(line);
    assert.equal(code, 0);
    assert.equal(err, "");
    for (const name of names) assert.match(out, new RegExp(`^  ${name} {2,}\\w`, "m"));
  }
});

test("a call without a command shows help on standard error and counts as wrong", async () => {
  const { code, out, err } = await run([]);
  assert.equal(code, 2);
  assert.equal(out, "");
  assert.match(err, /Usage\n {2}plinth COMMAND/);
});

for (const name of names) {
  test(`plinth ${name} --help tells its usage, each flag and an example, whatever else stands on the line`, async () => {
    const { default: command } = await commands[name as keyof typeof commands]();
    for (const line of [
      [name, "--help"],
      [name, "-h"],
      ["help", name],
      [name, "--help", "--nonsense"],
    ]) {
      const { code, out, err } = await run(line);
      assert.deepEqual({ code, err }, { code: 0, err: "" });
      assert.match(out, new RegExp(`plinth ${name}`));
      for (const flag of Object.keys(command.flags)) assert.match(out, new RegExp(`  --${flag}\\b`));
      for (const argument of command.args) assert.match(out, new RegExp(`^  ${argument.name} `, "m"));
      for (const example of command.examples) assert.ok(out.includes(example));
      assert.ok(command.examples.length > 0);
      for (const text of out.split("\n")) {
        assert.ok(text.length <= 130 || text.includes("plinth events"), `too wide: ${text}`);
      }
    }
  });
}

test("the version is the package's", async () => {
  const { code, out } = await run(["--version"]);
  assert.equal(code, 0);
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await run(["-v"])).out, out);
});

test("an unknown command names the one that was meant, all that there are, and is wrong", async () => {
  const { code, out, err } = await run(["rotues"]);
  assert.deepEqual({ code, out }, { code: 2, out: "" });
  assert.match(err, /^error: "rotues" is no command\. Did you mean "routes"\?\n/);
  assert.match(err, /There are call, clients, dev, doctor/);
  assert.doesNotMatch((await run(["xyzzy"])).err, /Did you mean/);
  assert.equal((await run(["toString"])).code, 2);
});

test("an unknown flag names the one that was meant", async () => {
  const { code, err } = await run(["routes", "--jsno", "--app", hello]);
  assert.equal(code, 2);
  assert.match(err, /^error: --jsno: there is no such flag; did you mean --json\?\n {2}plinth routes --help/);
});

test("colours are there for a person alone", async () => {
  assert.match((await run(["--help"], { coloured: true })).out, /<bold>Usage<\/>/);
  assert.match((await run(["rotues"], { coloured: true })).err, /^<red>error:<\/>/);
});
