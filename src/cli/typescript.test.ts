import assert from "node:assert/strict";
import { test } from "node:test";
import { registerTypeScript, speaksTypeScript } from "./typescript.ts";

test("knows that Node was told to speak TypeScript", () => {
  for (const flags of [
    ["--import", "tsx"],
    ["--import=tsx"],
    ["--import", "file:///a/node_modules/tsx/dist/loader.mjs"],
    ["--loader x --import tsx"],
  ]) {
    assert.ok(speaksTypeScript(flags), flags.join(" "));
  }
  for (const flags of [[], ["--import", "./tsxy.js"], ["--conditions=plinth:source"]]) {
    assert.ok(!speaksTypeScript(flags), flags.join(" "));
  }
});

test("does nothing where TypeScript is spoken already, as here", async () => {
  await registerTypeScript();
  await registerTypeScript();
});
