import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { StartError } from "../base/index.ts";
import { findAppFile, loadApp } from "./app-file.ts";
import { hello } from "./terminal.fixture.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "plinth-app-file-")));
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = join(root, String(count++));
  for (const [path, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

async function refusal(run: () => unknown): Promise<StartError> {
  try {
    await run();
  } catch (thrown) {
    assert.ok(thrown instanceof StartError, String(thrown));
    return thrown;
  }
  return assert.fail("it was accepted");
}

test("the app file is the one that was named, then the package's, then app.ts, src/app.ts, app.js", () => {
  const all = { "app.ts": "", "src/app.ts": "", "app.js": "", "other.ts": "" };
  const named = folderWith({ ...all, "package.json": '{"plinth":{"app":"other.ts"}}' });
  assert.equal(findAppFile(named, "app.js"), join(named, "app.js"));
  assert.equal(findAppFile(named, undefined), join(named, "other.ts"));
  const plain = folderWith(all);
  assert.equal(findAppFile(plain, undefined), join(plain, "app.ts"));
  const below = folderWith({ "src/app.ts": "", "app.js": "" });
  assert.equal(findAppFile(below, undefined), join(below, "src/app.ts"));
  const built = folderWith({ "app.js": "" });
  assert.equal(findAppFile(built, undefined), join(built, "app.js"));
});

test("where there is no app, the message says where it was looked for and how to get one", async () => {
  const folder = folderWith({});
  const { reason, message } = await refusal(() => findAppFile(folder, undefined));
  assert.equal(reason, "APP_FILE_MISSING");
  assert.match(message, /looked for app\.ts, src\/app\.ts, app\.js.*--app FILE.*plinth new NAME/);
  assert.match((await refusal(() => findAppFile(folder, "x.ts"))).message, /--app x\.ts: there is no such file/);
  const named = folderWith({ "package.json": '{"plinth":{"app":"gone.ts"}}' });
  assert.match(
    (await refusal(() => findAppFile(named, undefined))).message,
    /"app": "gone\.ts" \}: there is no such file/,
  );
  const broken = folderWith({ "package.json": "{" });
  assert.match((await refusal(() => findAppFile(broken, undefined))).message, /package\.json: it is no JSON/);
});

test("an app is loaded from TypeScript and from JavaScript", async () => {
  assert.equal((await loadApp(hello)).name, "hello");
  const script = folderWith({ "app.js": 'export default { kind: "app", name: "plain", services: [] };' });
  assert.equal((await loadApp(join(script, "app.js"))).name, "plain");
});

test("a file that exports no app by default is refused with what to write", async () => {
  for (const text of ["export const app = 1;", "export default {};", "export default null;"]) {
    const folder = folderWith({ "app.js": text });
    const { reason, message } = await refusal(() => loadApp(join(folder, "app.js")));
    assert.equal(reason, "APP_FILE_WRONG");
    assert.match(message, /its default export is no app; write export default app\(/);
  }
});

test("a file that fails while it loads says where", async () => {
  const folder = folderWith({ "app.js": 'import "./part.js";', "part.js": "\nundefined.name;" });
  const { reason, message } = await refusal(() => loadApp(join(folder, "app.js")));
  assert.equal(reason, "APP_FILE_WRONG");
  assert.match(message, /it cannot be loaded: Cannot read properties of undefined.*\n {2}at .*part\.js:2:11/);
  const odd = folderWith({ "app.js": 'throw "a word";' });
  assert.match((await refusal(() => loadApp(join(odd, "app.js")))).message, /it cannot be loaded: a word/);
});

test("what the definitions refuse is told as they tell it", async () => {
  const folder = folderWith({
    "app.ts": `import { contract } from ${JSON.stringify(import.meta.resolve("plinth"))}; contract("A b", { methods: {} });`,
  });
  const { reason, message } = await refusal(() => loadApp(join(folder, "app.ts")));
  assert.equal(reason, "CONTRACT_INVALID");
  assert.match(message, /contract "A b"/);
});

test("a syntax error names the file and the line", async () => {
  const folder = folderWith({ "app.ts": "export default {\n  name: ;\n};" });
  assert.match((await refusal(() => loadApp(join(folder, "app.ts")))).message, /app\.ts:2:8: ERROR/);
});

test("a package that is missing comes with the command that installs it", async () => {
  const folder = folderWith({ "app.js": 'import "no-such-thing-anywhere";' });
  const { message } = await refusal(() => loadApp(join(folder, "app.js")));
  assert.match(message, /"no-such-thing-anywhere" is not installed\. Run npm install no-such-thing-anywhere\./);
  const bare = folderWith({ "app.js": 'import "plinth";' });
  assert.match(
    (await refusal(() => loadApp(join(bare, "app.js")))).message,
    /"plinth" is not installed\. Run npm install\./,
  );
});

test("an app that uses another copy of plinth is refused, with the way to its own", async () => {
  const folder = folderWith({
    "node_modules/plinth/package.json": '{"name":"plinth","version":"0.0.1"}',
    "app.js": "export default 1;",
  });
  const { reason, message } = await refusal(() => loadApp(join(folder, "app.js")));
  assert.equal(reason, "PACKAGE_TWICE");
  assert.match(message, /node_modules\/plinth, and this command is another one.*npx plinth/);
});

test("a package that Node takes for CommonJS is told how to be one of ES modules", async () => {
  // In Node's own words: what translates TypeScript for this test would load such a file.
  const folder = folderWith({ "app.js": 'throw new SyntaxError("Cannot use import statement outside a module");' });
  const { reason, message } = await refusal(() => loadApp(join(folder, "app.js")));
  assert.equal(reason, "APP_FILE_WRONG");
  assert.match(message, /Node takes it for CommonJS.*npm pkg set type=module/);
});
