import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, isError, systemRandom } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { createArtifactStore } from "./artifacts.ts";
import { createProviderDirectory } from "./directory.ts";
import { migrateProvider } from "./migrations.ts";
import { createPasswords } from "./passwords.ts";
import { provider } from "./provider.ts";
import { dropSchema, engines, newSchema } from "./running.fixture.ts";
import { createSignInLimits } from "./sign-in-limits.ts";
import { createUpkeep } from "./upkeep.ts";
import { createUserStore } from "./users.ts";

const cost = { ln: 4, r: 8, p: 1 };
const reason = (expected: string) => (thrown: unknown) => isError(thrown, expected);
const once = () => new Error("used for the second time");

for (const { name, skip, open } of Object.values(engines)) {
  describe(`what a provider keeps, on ${name}`, { skip }, () => {
    let driver: DatabaseDriver;
    let database: Database;
    const schema = newSchema();
    before(async () => {
      driver = open();
      await driver.open();
      database = createDatabase({ driver, schema });
      await migrateProvider(database);
      await migrateProvider(database);
    });
    after(async () => {
      await dropSchema(driver, schema);
      await driver.close();
    });

    describe("an artifact", () => {
      const kept = () => createArtifactStore(database, 60_000);

      it("is found until it ends, changed in place, and swept after its end", async () => {
        const codes = kept().adapter("AuthorizationCode", once);
        await codes.upsert("c1", { jti: "c1", accountId: "ada", scope: "openid" }, 60);
        assert.deepEqual(await codes.find("c1"), { jti: "c1", accountId: "ada", scope: "openid" });
        await codes.upsert("c1", { jti: "c1", scope: "openid email" }, 60);
        assert.equal(((await codes.find("c1")) as { scope: string }).scope, "openid email");
        assert.equal(await kept().adapter("RefreshToken", once).find("c1"), undefined, "of another kind");
        await codes.upsert("gone", { jti: "gone" }, -1);
        assert.equal(await codes.find("gone"), undefined);
        assert.equal(await kept().sweep(10), 1);
        assert.equal(await kept().sweep(10), 0);
        await codes.destroy("c1");
        assert.equal(await codes.find("c1"), undefined);
        assert.equal(await codes.findByUserCode("c1"), undefined);
      });

      it("is found by its uid where it is a session, without the id that would let somebody in", async () => {
        const sessions = kept().adapter("Session", once);
        await sessions.upsert("secret-id", { jti: "secret-id", uid: "u1", accountId: "ada" }, 60);
        assert.deepEqual(await sessions.findByUid("u1"), { uid: "u1", accountId: "ada" });
        const [row] = await database.sql<{ all: string }>`select a::text as all from artifacts a where uid = 'u1'`;
        assert.ok(row && !row.all.includes("secret-id"));
      });

      it("is used up once: of many at once one, and the others end its whole family", async () => {
        const store = kept();
        const [grants, tokens] = ["Grant", "RefreshToken"].map((model) => store.adapter(model, once));
        assert.ok(grants && tokens);
        await grants.upsert("g1", { jti: "g1", accountId: "ada" }, 60);
        await tokens.upsert("t1", { jti: "t1", grantId: "g1" }, 60);
        const tries = await Promise.allSettled(Array.from({ length: 4 }, () => tokens.consume("t1")));
        assert.ok(tries.filter(({ status }) => status === "fulfilled").length <= 1);
        for (const each of tries) if (each.status === "rejected") assert.match(String(each.reason), /second time/);
        assert.equal(await tokens.find("t1"), undefined);
        assert.equal(await grants.find("g1"), undefined);
        assert.equal(await store.isRevoked("g1"), true);
        assert.equal(await store.isRevoked("g2"), false);
      });

      it("says when it was used, and goes with its grant or its person", async () => {
        let heard = 0;
        const store = createArtifactStore(database, 60_000, () => heard++);
        const tokens = store.adapter("RefreshToken", once);
        await tokens.upsert("t2", { jti: "t2", grantId: "g3", accountId: "grace" }, 60);
        await tokens.consume("t2");
        assert.equal(typeof ((await tokens.find("t2")) as { consumed: unknown }).consumed, "number");
        await tokens.revokeByGrantId("g3");
        assert.equal(await tokens.find("t2"), undefined);
        await tokens.upsert("t3", { jti: "t3", grantId: "g4", accountId: "grace" }, 60);
        await store.revokeAccount("grace");
        assert.equal(await tokens.find("t3"), undefined);
        assert.equal(await store.isRevoked("g4"), true);
        assert.equal(heard, 1);
      });
    });

    describe("a user", () => {
      const passwords = createPasswords({ cost });
      const ended: string[] = [];
      const users = () => createUserStore(database, passwords, async (id) => void ended.push(id));

      it("signs in by a name in any case, and in no other way", async () => {
        const ada = await users().add({ name: "Ada@Example.com", password: "an engine of brass" });
        assert.deepEqual([ada.name, ada.displayName], ["ada@example.com", "Ada@Example.com"]);
        assert.equal((await users().signIn("ADA@example.COM", "an engine of brass"))?.id, ada.id);
        assert.equal(await users().signIn("ada@example.com", "an engine of brasS"), undefined);
        assert.equal(await users().signIn("nobody", "an engine of brass"), undefined);
        assert.equal((await users().findByName("ada@EXAMPLE.com"))?.id, ada.id);
        await assert.rejects(
          users().add({ name: "ada@example.com", password: "another password" }),
          reason("USER_EXISTS"),
        );
      });

      it("has a name, an address and rights that can be", async () => {
        const password = "a long password";
        for (const wrong of [{ name: "" }, { name: "two words" }, { name: "a\u0000b" }, { name: "x".repeat(255) }])
          await assert.rejects(users().add({ ...wrong, password }), reason("USER_INVALID"));
        for (const wrong of [
          { displayName: "two\nlines" },
          { email: "nowhere" },
          { roles: ["a b"] },
          { scopes: ['"'] },
        ])
          await assert.rejects(users().add({ name: "joan", password, ...wrong }), reason("USER_INVALID"));
        for (const wrong of ["", "too short", "x".repeat(201)])
          await assert.rejects(users().add({ name: "joan", password: wrong }), reason("PASSWORD_INVALID"));
      });

      it("whose password was kept at an older cost has it hashed anew when signing in", async () => {
        const store = users();
        const { id } = await store.add({ name: "edith", password: "an engine of brass" });
        const dearer = createUserStore(database, createPasswords({ cost: { ...cost, ln: 5 } }), async () => {});
        assert.ok(await dearer.signIn("edith", "an engine of brass"));
        const [row] = await database.sql<{ password: string }>`select password from users where id = ${id}`;
        assert.match(row?.password ?? "", /^\$scrypt\$ln=5,/);
        assert.ok(await dearer.signIn("edith", "an engine of brass"));
      });

      it("is signed in nowhere any more with another password, or disabled", async () => {
        const store = users();
        const { id } = await store.add({ name: "joan", password: "an engine of brass" });
        await store.setPassword("Joan", "an engine of steel");
        await store.setDisabled("joan", true);
        assert.deepEqual(ended, [id, id]);
        assert.equal(await store.signIn("joan", "an engine of steel"), undefined);
        await store.setDisabled("joan", false);
        assert.ok(await store.signIn("joan", "an engine of steel"));
        await assert.rejects(store.setPassword("nobody", "a long password"), reason("USER_UNKNOWN"));
        await assert.rejects(store.setDisabled("nobody", true), reason("USER_UNKNOWN"));
      });
    });

    describe("a client", () => {
      const definition = provider({ clients: [{ id: "own", kind: "machine" }], scopes: { "a:b": "A" } });
      const clients = () => createProviderDirectory(definition, database, systemRandom).clients;

      it("is one that the app declares, or one that was added and can be removed", async () => {
        assert.equal((await clients().get("own"))?.declared, true);
        assert.equal(await clients().get("nobody"), undefined);
        const secret = await clients().add({ id: "added", kind: "server", redirectUris: ["https://a.example.com/x"] });
        assert.match(secret ?? "", /^[\w-]{43}$/);
        assert.equal((await clients().get("added"))?.secretHashes.length, 1);
        assert.deepEqual(
          (await clients().list()).map(({ id }) => id),
          ["own", "added"],
        );
        await clients().remove("added");
        assert.equal(await clients().get("added"), undefined);
        const [left] = await database.sql<{ count: number }>`select count(*) as count from client_secrets`;
        assert.equal(left?.count, 0);
        await assert.rejects(clients().remove("own"), reason("CLIENT_DECLARED"));
        await assert.rejects(clients().remove("nobody"), reason("CLIENT_UNKNOWN"));
        await assert.rejects(clients().add({ id: "own", kind: "machine" }), reason("CLIENT_EXISTS"));
        await assert.rejects(clients().add({ id: "no id", kind: "machine" }), reason("CLIENT_INVALID"));
      });
    });

    describe("an allowance", () => {
      it("is used up, refills at its rate, and is one for a whole network of IPv6", async () => {
        const rates = {
          account: { burst: 3, everyMs: 60_000 },
          address: { burst: 4, everyMs: 60_000 },
          begin: { burst: 2, everyMs: 60_000 },
        };
        const limits = createSignInLimits(database, rates);
        const take = (account: string, address: string) => limits.take(account, address);
        for (let i = 0; i < 3; i++) assert.equal(await take("Ada", `192.0.2.${i}`), 0);
        const waitMs = await take("ADA", "192.0.2.9");
        assert.ok(waitMs > 55_000 && waitMs <= 60_000, String(waitMs));
        for (let i = 0; i < 4; i++) assert.equal(await take(`user-${i}`, `2001:db8::${i}`), 0);
        assert.ok((await take("user-9", "2001:0db8:0:0:ffff::1")) > 0, "the same 64 bits");
        assert.equal(await take("user-10", "2001:db8:0:1::1"), 0, "the next network");
        assert.equal(await take("user-11", "::ffff:192.0.2.77"), 0);
        const begun = [
          await limits.begin("192.0.2.1"),
          await limits.begin("192.0.2.1"),
          await limits.begin("192.0.2.1"),
        ];
        assert.deepEqual(
          begun.map((ms) => ms > 0),
          [false, false, true],
        );
        await limits.forgive("ada", "2001:db8::1");
        assert.equal(await take("ada", "2001:db8::5"), 0, "the account is whole, and the address has one more");
        assert.ok((await take("x", "2001:db8::5")) > 0);
        await database.sql`update sign_in_limits set used_until = clock_timestamp() where key like 'account %'`;
        assert.ok((await limits.sweep(100)) > 4);
      });
    });
  });
}

describe("upkeep", () => {
  it("runs each task again and again, tells what failed, and stops when told", async () => {
    const clock = createManualClock();
    const runs: string[] = [];
    const upkeep = createUpkeep({
      clock,
      random: { ...systemRandom, next: () => 0 },
      tasks: [
        { everyMs: 10, run: async () => void runs.push("a") },
        { everyMs: 25, run: async () => Promise.reject(new Error("away")) },
      ],
      onError: (thrown) => runs.push(String(thrown)),
    });
    upkeep.start();
    await clock.advance(51);
    assert.deepEqual(runs.sort(), ["Error: away", "Error: away", "a", "a", "a", "a", "a"]);
    await upkeep.stop();
    await clock.advance(100);
    assert.equal(runs.length, 7);
  });
});
