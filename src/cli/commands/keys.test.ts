import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startTestApp } from "plinth/testing";
import keyedApp from "../fixtures/keyed/app.ts";
import { hello, repository, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-keys-"));
const url = `pglite:${folder}/database`;
const environment = { NODE_ENV: "test", DATABASE_URL: url };
after(() => rmSync(folder, { recursive: true, force: true }));

const keyed = `${repository}src/cli/fixtures/keyed/app.ts`;
const keys = (...line: string[]) => run(["keys", ...line, "--app", keyed], { environment });

test("keys makes a key that the app takes, changes it for another, and takes it back", async () => {
  const made = await keys("create", "--subject", "acme", "--name", "nightly", "--plan", "gold", "--expires", "90d");
  assert.equal(made.code, 0, made.err);
  const key = made.out.trim();
  assert.match(key, /^door_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/);
  const id = key.split("_")[1] as string;
  assert.match(made.err, new RegExp(`key ${id} of acme; it is shown this once`));

  const rotated = await keys("rotate", id, "--overlap", "1h", "--json");
  const next = JSON.parse(rotated.out) as { key: string; id: string; subject: string; plan: string };
  assert.deepEqual([next.subject, next.plan], ["acme", "gold"]);
  const bare = await keys("create", "--subject", "bob", "--json");
  const { key: bobs, id: bobsId } = JSON.parse(bare.out) as { key: string; id: string };
  const revoked = await keys("revoke", bobsId);
  assert.match(revoked.err, /within 5 s/);

  const shown = await keys("list");
  assert.match(shown.out, new RegExp(`${id} +acme +- +gold +rotated until .* +nightly`));
  assert.match(shown.out, new RegExp(`${bobsId} +bob +- +- +revoked`));
  assert.doesNotMatch(shown.out, new RegExp(key.slice(-20)));
  const list = JSON.parse((await keys("list", "--json")).out) as { id: string; successor: string | null }[];
  assert.equal(list.find((each) => each.id === id)?.successor, next.id);
  assert.ok(list.every((each) => !("hash" in each)));

  const running = await startTestApp(keyedApp, { environment });
  const knock = async (value: string) => {
    const answer = await fetch(`${running.url}/door`, { headers: { "x-api-key": value } });
    return [answer.status, ((await answer.json()) as { who?: string; plan?: string }).plan];
  };
  assert.deepEqual(await knock(key), [200, "gold"]);
  assert.deepEqual(await knock(next.key), [200, "gold"]);
  assert.deepEqual(await knock(bobs), [401, undefined]);
  await running.stop();
});

test("keys says what is missing", async () => {
  const said = async (line: readonly string[], pattern: RegExp) => {
    const { code, err } = await run(line, { environment });
    assert.equal(code, 2);
    assert.match(err, pattern);
  };
  await said(["keys", "create", "--app", keyed], /--subject acme/);
  const outside = `${repository}src/cli/fixtures/outside/app.ts`;
  const typo = ["keys", "create", "--subject", "a", "--plan", "pre", "--app", outside];
  await said(typo, /--plan pre: there is no such plan; there are free, pro\./);
  await said(["keys", "create", "--subject", "a", "--expires", "soon", "--app", keyed], /--expires: write a duration/);
  await said(["keys", "revoke", "--app", keyed], /say which one/);
  await said(["keys", "revoke", "nobody", "--app", keyed], /There is no key "nobody"/);
  await said(["keys", "rotate", "nobody", "--app", keyed], /There is no key "nobody"/);
  await said(["keys", "forge", "--app", keyed], /there are create, list, rotate, revoke/);
  await said(["keys", "list", "--app", hello], /declare them: app\(\{ gateway: \{ identity: \{ apiKeys/);
});
