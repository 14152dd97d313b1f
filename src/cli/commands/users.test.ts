import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hello, repository, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-users-"));
const environment = { NODE_ENV: "test", DATABASE_URL: `pglite:${folder}/database` };
after(() => rmSync(folder, { recursive: true, force: true }));

const signed = `${repository}src/cli/fixtures/signed/app.ts`;
const users = (line: readonly string[], input?: string) =>
  run(["users", ...line, "--app", signed], { environment, ...(input !== undefined && { input }) });

test("users adds somebody with a password that is shown once, lists, disables and enables them", async () => {
  const made = await users(["add", "ada", "--display", "Ada", "--role", "admin", "--scope", "desk:write"]);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /^[\w-]{20}\n$/);
  assert.match(made.err, /the password of user ada; it is shown this once/);

  const given = await users(["add", "grace", "--stdin", "--json"], "a password from a file\n");
  const { name, password } = JSON.parse(given.out) as { name: string; password: string | null };
  assert.deepEqual([name, password], ["grace", null], "who gave it knows it");

  assert.match((await users(["disable", "grace"])).err, /grace is disabled, and signed in nowhere/);
  const listed = await users(["list"]);
  assert.match(listed.out, /ada +active +admin +desk:write/);
  assert.match(listed.out, /grace +disabled +- +-/);
  assert.match((await users(["enable", "grace"])).err, /grace can sign in again/);
  const list = JSON.parse((await users(["list", "--json"])).out) as Record<string, unknown>[];
  assert.deepEqual(
    list.map((each) => [each.name, each.isDisabled, "password" in each]),
    [
      ["ada", false, false],
      ["grace", false, false],
    ],
  );

  const changed = await users(["password", "ADA"]);
  assert.notEqual(changed.out, made.out);
  assert.match(changed.err, /wherever this user was signed in, that is over/);
});

test("users says what is wrong", async () => {
  const said = async (line: readonly string[], pattern: RegExp, code: number, input?: string) => {
    const ran = await users(line, input);
    assert.match(ran.err, pattern);
    assert.equal(ran.code, code);
  };
  await said(["lend", "ada"], /there are add, list, password, disable, enable/, 2);
  await said(["add"], /say which one; "plinth users list" shows them/, 2);
  await said(["add", "joan", "--scope", "desk:burn"], /no such scope; there are desk:write/, 2);
  await said(["add", "Ada"], /There is a user "Ada"/, 1);
  await said(["add", "joan", "--stdin"], /10 to 200 characters/, 1, "short\n");
  const absent = await run(["users", "list", "--app", hello], { environment });
  assert.match(absent.err, /has no identity provider; declare one/);
  assert.equal(absent.code, 2);
});
