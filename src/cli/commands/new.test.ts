import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startProcess } from "../process.fixture.ts";
import { repository, run } from "../terminal.fixture.ts";

const root = mkdtempSync(join(tmpdir(), "plinth-new-"));
after(() => rmSync(root, { recursive: true, force: true }));
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** What `npm install` makes of the paths in package.json, only quicker. */
function install(folder: string): void {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  for (const [name, from] of Object.entries<string>({ ...dependencies, ...devDependencies })) {
    assert.match(from, /^file:\.\.\//);
    symlinkSync(join(folder, from.slice("file:".length)), join(folder, "node_modules", name));
  }
}

/** What the compiler says about the app's own files. */
function typeErrors(folder: string): string[] {
  const tsc = join(folder, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
    cwd: folder,
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => /^\w/.test(line));
}

describe("a new app", () => {
  const folder = join(root, "first");
  before(async () => {
    const { code, out, err } = await run(["new", "first"], { cwd: root });
    assert.deepEqual({ code, out }, { code: 0, out: "" });
    assert.match(err, /^made first in first: 9 files\n\n {2}cd first\n {2}npm install\n {2}npm run dev\n$/);
    install(folder);
  });

  test("is a package of its own that depends on this one by its path", () => {
    const { name, scripts, dependencies } = JSON.parse(read("first/package.json"));
    assert.equal(name, "first");
    assert.deepEqual(scripts, { dev: "plinth dev", start: "plinth start", test: "plinth test", check: "tsc" });
    assert.deepEqual(Object.keys(dependencies), ["plinth"]);
    assert.match(read("first/app.ts"), /app\(\{ name: "first"/);
    assert.match(read("first/README.md"), /^# first\n/);
    assert.match(read("first/.gitignore"), /^node_modules\/$/m);
  });

  test("leaves no placeholder behind", () => {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes("node_modules")) continue;
      assert.doesNotMatch(readFileSync(join(entry.parentPath, entry.name), "utf8"), /\{\{|undefined/, entry.name);
    }
  });

  test("passes its own tests", async () => {
    const tests = startProcess(["test"], { cwd: folder });
    assert.equal(await tests.ended, 0, tests.text());
    assert.match(tests.text(), /pass 4\n/);
  });

  test("passes its own check of types", () => {
    assert.deepEqual(typeErrors(folder), []);
    writeFileSync(join(folder, "wrong.ts"), 'import { app } from "plinth";\napp({ nam: "x" });\n');
    assert.match(typeErrors(folder).join("\n"), /^wrong\.ts\(2,7\): error TS\d+: .*nam/, "it would notice");
    rmSync(join(folder, "wrong.ts"));
  });

  test("is served, keeps its data over a restart, and is well in every way", async () => {
    const environment = { PORT: "0", PLINTH_MANAGEMENT_PORT: "0", PLINTH_LOG: "warn" };
    const begin = async () => {
      const app = startProcess(["start"], { cwd: folder, environment });
      const [, url = ""] = await app.find(/API +(http:\S+)\n/);
      return { app, url };
    };
    const first = await begin();
    const answer = await fetch(`${first.url}/notes`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"text":"buy milk"}',
    });
    const { id } = (await answer.json()) as { id: string };
    assert.equal(await first.app.end(), 0);
    const second = await begin();
    assert.deepEqual(await (await fetch(`${second.url}/notes/${id}`)).json(), { id, text: "buy milk" });
    assert.equal(await second.app.end(), 0);
    const doctor = startProcess(["doctor"], { cwd: folder, environment });
    assert.equal(await doctor.ended, 0, doctor.text());
    assert.doesNotMatch(doctor.text(), /^(?:warn|fail)/m);
  });

  test("its README's second service works as it stands there", async () => {
    const blocks = read("first/README.md").matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g);
    mkdirSync(join(folder, "reminders"));
    for (const [, path = "", text = ""] of blocks) writeFileSync(join(folder, path), text);
    assert.deepEqual(typeErrors(folder), []);
    const routes = startProcess(["routes"], { cwd: folder });
    assert.equal(await routes.ended, 0);
    assert.match(routes.text(), /POST +\/reminders +reminders\.remind +public/);
    const app = startProcess(["start", "--port", "0"], { cwd: folder, environment: { PLINTH_MANAGEMENT_PORT: "0" } });
    const [, url = ""] = await app.find(/API +(http:\S+)\n/);
    const post = async (path: string, body: object): Promise<{ id: string; text: string }> => {
      const answer = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await answer.json()) as { id: string; text: string };
    };
    const { id } = await post("/notes", { text: "call home" });
    assert.deepEqual(await post("/reminders", { noteId: id }), { text: "Do not forget: call home" });
    await app.find(/"text":"call home".*"msg":"a note was added"/);
    assert.equal(await app.end(), 0);
  });
});

test("--dir names the folder, which may exist", async () => {
  mkdirSync(join(root, "here"));
  const { code, err } = await run(["new", "shop", "--dir", "."], { cwd: join(root, "here") });
  assert.equal(code, 0);
  assert.match(err, /^made shop in \.: 9 files\n\n {2}npm install\n/);
  assert.equal(JSON.parse(read("here/package.json")).name, "shop");
});

test("refuses a name that is none, and a folder that holds such files, before writing anything", async () => {
  for (const name of ["Shop", "9lives", "a b", "../x"]) {
    const { code, err } = await run(["new", name], { cwd: root });
    assert.equal(code, 2);
    assert.match(err, /is no name for an app; use small letters, digits and dashes/);
  }
  mkdirSync(join(root, "taken"));
  writeFileSync(join(root, "taken/app.ts"), "mine");
  const { code, err } = await run(["new", "taken"], { cwd: root });
  assert.equal(code, 2);
  assert.match(err, /^error: taken: app\.ts exists already; choose another folder with --dir\.\n$/);
  assert.deepEqual(readdirSync(join(root, "taken")), ["app.ts"]);
  assert.ok(existsSync(`${repository}templates/app/app.ts`));
});
