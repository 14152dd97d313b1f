import assert from "node:assert/strict";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { contract, database, isError, service } from "plinth";
import { ask, refuse, take } from "../http.fixture.ts";
import { newFolder, startShop, type TestShop } from "../shop.fixture.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import accountsService from "./service.ts";

describe("a password", () => {
  it("is kept as a salted hash that tells its own cost, and is recognised again", async () => {
    const [one, two] = await Promise.all([hashPassword("correct horse"), hashPassword("correct horse")]);
    assert.match(one, /^\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}==\$[\w+/]{43}=$/);
    assert.notEqual(one, two);
    assert.ok(await verifyPassword("correct horse", one));
    assert.ok(!(await verifyPassword("correct horsE", one)));
  });

  it("is the same however its letters are put together", async () => {
    const composed = "caf\u00e9 cr\u00e8me";
    assert.ok(await verifyPassword(composed.normalize("NFD"), await hashPassword(composed)));
  });

  it("hashed at another cost is still recognised", async () => {
    // RFC 7914, section 12: "password" with the salt "NaCl" at N = 1024, r = 8, p = 16, the first 32 bytes.
    const key = Buffer.from("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162", "hex");
    const stored = `$scrypt$ln=10,r=8,p=16$${Buffer.from("NaCl").toString("base64")}$${key.toString("base64")}`;
    assert.ok(await verifyPassword("password", stored));
    assert.ok(!(await verifyPassword("Password", stored)));
  });

  it("is checked for nobody too, and is never right", async () => {
    assert.equal(await verifyPassword("anything", undefined), false);
  });

  it("kept in a form that nobody knows is an error, not a wrong password", async () => {
    await assert.rejects(verifyPassword("anything", "md5:5f4dcc3b"), /unknown form/);
  });

  it("waits in a line that has an end: whoever comes then may come back in a second", async () => {
    const ask = (count: number) => Promise.allSettled(Array.from({ length: count }, () => verifyPassword("x", cheap)));
    const refused = (await ask(30)).flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.equal(refused.length, 4, "2 run and 24 wait");
    for (const reason of refused) assert.ok(isError(reason, "PASSWORDS_BUSY") && reason.retry === 1000);
    assert.ok(
      (await ask(26)).every((each) => each.status === "fulfilled"),
      "the line is empty again",
    );
  });
});

/** Costs next to nothing to check. */
const cheap = `$scrypt$ln=4,r=1,p=1$c2FsdA==$${Buffer.alloc(32).toString("base64")}`;

describe("accounts", () => {
  let shop: TestShop;
  before(async () => {
    shop = await startShop();
  });
  after(() => shop.stop());

  const ada = { email: "Ada@Example.com", password: "an engine of brass", name: "Ada" };
  let token = "";

  it("opens an account and signs in, and shows no password", async () => {
    const session = await take(shop.url, "POST /accounts", { status: 201, body: ada });
    assert.deepEqual(Object.keys(session).sort(), ["account", "expiresAt", "token"]);
    assert.deepEqual(Object.keys(session.account).sort(), ["createdAt", "email", "id", "name"]);
    assert.equal(session.account.email, "ada@example.com");
    assert.ok(Date.parse(session.expiresAt) > Date.now());
    token = session.token;
  });

  it("keeps no password that can be read", async () => {
    const [row] = await shop.run("select a::text as text from accounts.accounts a");
    assert.match(String(row?.text), /\$scrypt\$/);
    assert.doesNotMatch(String(row?.text), /engine/);
  });

  it("gives an address to one person, also when two ask at once", async () => {
    const twin = (name: string) => ({ email: "twin@example.com", password: "a long password", name });
    const answers = await Promise.all(
      ["Castor", "Pollux"].map((name) => ask(shop.url, "POST /accounts", { body: twin(name) })),
    );
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409]);
    const loser = answers.find((answer) => answer.status === 409);
    assert.match(loser?.body.reason, /^EMAIL_(TAKEN|PENDING)$/);
    await refuse(shop.url, "POST /accounts", { body: twin("Helen"), status: 409, reason: "EMAIL_TAKEN" });
  });

  /** What a process leaves behind that reserves an address and dies. */
  const reserve = (email: string, expiresAt: string) =>
    shop.run(`insert into plinth_shards.claims (service, name, value, key, token, state, expires_at)
      values ('accounts', 'email', '${email}', 'nobody', gen_random_uuid(), 'pending', ${expiresAt})`);

  it("gives an address to the next when a sign-up broke off, once its minute is over", async () => {
    const body = { email: "dido@example.com", password: "a long password", name: "Dido" };
    await reserve(body.email, "now() + interval '1 minute'");
    await refuse(shop.url, "POST /accounts", { body, status: 409, reason: "EMAIL_PENDING" });
    await refuse(shop.url, "POST /sessions", { body, status: 401, reason: "CREDENTIALS_WRONG" });
    await shop.run("update plinth_shards.claims set expires_at = now() where key = 'nobody'");
    await take(shop.url, "POST /accounts", { status: 201, body });
    await take(shop.url, "POST /sessions", { status: 201, body });
  });

  it("knows an account whose process died before the directory heard of it", async () => {
    const body = { email: "phyllis@example.com", password: "a long password", name: "Phyllis" };
    await take(shop.url, "POST /accounts", { status: 201, body });
    await shop.run(
      `update plinth_shards.claims set state = 'pending', expires_at = now() where value = '${body.email}'`,
    );
    await take(shop.url, "POST /sessions", { status: 201, body });
    await refuse(shop.url, "POST /accounts", { body, status: 409, reason: "EMAIL_TAKEN" });
  });

  it("takes a name of one line only", async () => {
    const body = { ...ada, email: "other@example.com", name: "Ada\r\nBcc: everybody@example.com" };
    await refuse(shop.url, "POST /accounts", { body, status: 422, reason: "VALIDATION_FAILED" });
  });

  it("tells whose token it is, and refuses none and one that was changed", async () => {
    assert.equal((await take(shop.url, "GET /account", { token })).name, "Ada");
    assert.equal((await ask(shop.url, "GET /account")).status, 401);
    const [head, , signature] = token.split(".");
    const claims = Buffer.from(JSON.stringify({ sub: "somebody", exp: 4_102_444_800 })).toString("base64url");
    assert.equal((await ask(shop.url, "GET /account", { token: `${head}.${claims}.${signature}` })).status, 401);
  });

  it("asks to sign in again when the account is gone, here and at the checkout", async () => {
    await shop.run("delete from accounts.accounts where email = 'ada@example.com'");
    const gone = { token, status: 401, reason: "ACCOUNT_GONE" };
    await refuse(shop.url, "GET /account", gone);
    const shipTo = { name: "A", street: "B", city: "C", postalCode: "D", country: "GB" };
    const card = { number: "4242424242424242", expiryMonth: 1, expiryYear: 2099, cvc: "123" };
    await refuse(shop.url, "POST /orders", { ...gone, body: { card, shipTo } });
  });
});

describe("accounts of a shop from before they were spread over servers", () => {
  it("have their addresses still", async () => {
    const folder = await newFolder();
    const migrations = pathToFileURL(`${folder}/migrations/`);
    await mkdir(migrations);
    await copyFile(
      new URL("./migrations/0001-accounts.sql", import.meta.url),
      new URL("0001-accounts.sql", migrations),
    );
    const home = { folder, databaseUrl: `pglite:${folder}/database` };
    const body = { email: "elder@example.com", password: "a long password", name: "Elder" };
    try {
      const before = await startShop({
        ...home,
        services: [
          service(contract("accounts", { methods: {} }), { needs: { db: database({ migrations }) }, methods: {} }),
        ],
      });
      const hash = await hashPassword(body.password);
      await before.run(
        `insert into accounts.accounts (id, email, name, password) values ('1', '${body.email}', 'E', '${hash}')`,
      );
      await before.stop();
      const shop = await startShop({ ...home, services: [accountsService] });
      await refuse(shop.url, "POST /accounts", { body, status: 409, reason: "EMAIL_TAKEN" });
      const { account } = await take(shop.url, "POST /sessions", { status: 201, body });
      assert.equal(account.id, "1");
      await shop.stop();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
