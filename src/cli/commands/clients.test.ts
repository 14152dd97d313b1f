import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startTestApp } from "plinth/testing";
import signedApp from "../fixtures/signed/app.ts";
import { repository, run } from "../terminal.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-clients-"));
const environment = { NODE_ENV: "test", DATABASE_URL: `pglite:${folder}/database`, PLINTH_DATA: folder };
after(() => rmSync(folder, { recursive: true, force: true }));

const signed = `${repository}src/cli/fixtures/signed/app.ts`;
const clients = (...line: string[]) => run(["clients", ...line, "--app", signed], { environment });

test("clients makes secrets that are shown once, and the app takes them until they end or the client goes", async (t) => {
  const old = (await clients("rotate", "nightly")).out.trim();
  const next = await clients("rotate", "nightly", "--overlap", "1h");
  assert.match(next.err, /the secret of client nightly; it is shown this once\nolder secrets stay good for 1h/);
  const made = await clients("add", "robot", "--kind", "machine", "--scope", "desk:write", "--json");
  const { id, secret: robots } = JSON.parse(made.out) as { id: string; secret: string };
  assert.equal(id, "robot");
  const page = ["--kind", "browser", "--redirect", "https://a.example.com/x,https://b.example.com/y"];
  const open = await clients(
    "add",
    "page",
    ...page,
    "--name",
    "The page",
    "--sign-out",
    "https://a.example.com/",
    "--third-party",
  );
  assert.match(open.err, /client page; it has no secret/);

  const listed = await clients("list");
  assert.match(listed.out, /nightly +machine +by the app +2 +-/);
  assert.match(listed.out, /web +browser +by the app +- +https:\/\/desk\.example\.com\/callback/);
  assert.match(listed.out, /page +browser +added +- +https:\/\/a\.example\.com\/x https:\/\/b\.example\.com\/y/);
  assert.ok(!listed.out.includes(robots) && !listed.out.includes(old));
  const list = JSON.parse((await clients("list", "--json")).out) as Record<string, unknown>[];
  assert.equal(list.find((each) => each.id === "page")?.thirdParty, true);
  assert.equal(list.find((each) => each.id === "robot")?.secrets, 1);

  const running = await startTestApp(signedApp, { environment });
  t.after(() => running.stop());
  const ask = async (client: string, secret: string) => {
    const body = new URLSearchParams({ grant_type: "client_credentials", scope: "desk:write" });
    const authorization = `Basic ${Buffer.from(`${client}:${secret}`).toString("base64")}`;
    const answer = await fetch(`${running.url}/auth/token`, { method: "POST", body, headers: { authorization } });
    const { access_token: token } = (await answer.json()) as { access_token?: string };
    if (token === undefined) return answer.status;
    const desk = await fetch(`${running.url}/desk`, { headers: { authorization: `Bearer ${token}` } });
    return ((await desk.json()) as { who: string }).who;
  };
  assert.equal(await ask("nightly", old), "nightly");
  assert.equal(await ask("nightly", next.out.trim()), "nightly");
  assert.equal(await ask("robot", robots), "robot");
  assert.equal(await ask("robot", next.out.trim()), 401);
  await running.stop();
  assert.match((await clients("rotate-keys")).err, /every gateway takes it up within a minute/);
  assert.equal((await clients("remove", "robot")).code, 0);
  assert.doesNotMatch((await clients("list")).out, /robot/);
});

test("clients says what is wrong", async () => {
  const said = async (line: readonly string[], pattern: RegExp, code: number) => {
    const ran = await clients(...line);
    assert.match(ran.err, pattern);
    assert.equal(ran.code, code);
  };
  await said(["lend"], /there are add, list, rotate, rotate-keys, remove/, 2);
  await said(["add", "x"], /--kind: write one of browser, native, server, machine/, 2);
  await said(["add", "x", "--kind", "browser", "--redirect", "http://evil.example.com/"], /use https/, 1);
  await said(["add", "nightly", "--kind", "machine"], /There is a client "nightly"/, 1);
  await said(["rotate", "web"], /has no secret: it could not keep one/, 1);
  await said(["rotate", "nightly", "--overlap", "soon"], /write a duration/, 2);
  await said(["remove", "nightly"], /is declared by the app; take it out there/, 1);
});
