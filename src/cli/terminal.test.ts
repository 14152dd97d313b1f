import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { processTerminal, streamScreen } from "./terminal.ts";

function stream(hasColors?: boolean) {
  return Object.assign(new PassThrough(), hasColors === undefined ? {} : { hasColors: () => hasColors });
}

test("writes to the stream, coloured only where it has colours", () => {
  const coloured = stream(true);
  const screen = streamScreen(coloured);
  screen.write(screen.style("red", "no"));
  assert.equal(coloured.read().toString(), "\u001b[31mno\u001b[39m");
  assert.equal(streamScreen(stream(false)).style("red", "no"), "no");
  assert.equal(streamScreen(stream()).style("red", "no"), "no");
});

test("the terminal of a process has its folder, its environment and its standard input", () => {
  const { cwd, environment } = processTerminal();
  assert.equal(cwd, process.cwd());
  assert.equal(environment, process.env);
  const script = `
    const { processTerminal } = await import(${JSON.stringify(new URL("./terminal.ts", import.meta.url).href)});
    const terminal = processTerminal();
    terminal.out.write(JSON.stringify([await terminal.read(), (await terminal.ask("sure?")) ?? null]));`;
  const flags = ["--conditions=plinth:source", "--import", "tsx", "--input-type=module", "-e", script];
  const written = execFileSync(process.execPath, flags, { input: "größer\n", encoding: "utf8" });
  assert.deepEqual(JSON.parse(written), ["größer\n", null], "nobody is asked where nobody is");
});
