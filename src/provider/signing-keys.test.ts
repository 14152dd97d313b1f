import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom } from "../base/index.ts";
import type { Database, DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { migrateProvider } from "./migrations.ts";
import { dropSchema, engines, isStartError, newSchema, secretForTests, startProvider } from "./running.fixture.ts";
import { createProviderSecret } from "./secret.ts";
import { createSigningKeyStore, toPublicJwk } from "./signing-keys.ts";

const day = 86_400_000;
const rules = { signsMs: 30 * day, aheadMs: day, keptMs: 3_600_000 };

for (const { name, skip, open } of Object.values(engines)) {
  describe(`signing keys on ${name}`, { skip }, () => {
    let driver: DatabaseDriver;
    let database: Database;
    const schemas: string[] = [];
    const secret = createProviderSecret([secretForTests], systemRandom);
    before(async () => {
      driver = open();
      await driver.open();
    });
    after(async () => {
      for (const schema of schemas) await dropSchema(driver, schema);
      await driver.close();
    });
    const fresh = async () => {
      const schema = newSchema();
      schemas.push(schema);
      database = createDatabase({ driver, schema });
      await migrateProvider(database);
      return createSigningKeyStore(database, secret, rules);
    };
    const passDays = (days: number) => database.sql`
      update signing_keys set signs_from = signs_from - ${days}::float8 * interval '1 day',
        signs_until = signs_until - ${days}::float8 * interval '1 day',
        published_until = published_until - ${days}::float8 * interval '1 day'`;
    const kidsOf = async (store: Awaited<ReturnType<typeof fresh>>) => (await store.load()).keys.map(({ kid }) => kid);

    it("are one key for all processes that start at once", async () => {
      const store = await fresh();
      const all = await Promise.all(Array.from({ length: 5 }, () => store.load()));
      assert.equal(new Set(all.map(({ keys }) => keys.map(({ kid }) => kid).join())).size, 1);
      assert.equal(all[0]?.keys.length, 1);
      assert.ok(Math.abs((all[0]?.changesInMs ?? 0) - 29 * day) < 60_000);
    });

    it("are published before they sign, sign after each other, and go once what they signed has ended", async () => {
      const store = await fresh();
      const [first] = await kidsOf(store);
      await passDays(29.5);
      const [signs, next, ...none] = await kidsOf(store);
      assert.deepEqual([signs, none.length], [first, 0]);
      assert.notEqual(next, first);
      await passDays(0.51);
      assert.deepEqual(await kidsOf(store), [next, first], "the new one signs, the old one is still published");
      await passDays(0.1);
      await database.sql`update signing_keys set published_until = clock_timestamp() where kid = ${first}`;
      assert.deepEqual(await kidsOf(store), [next]);
      await passDays(400);
      const later = await kidsOf(store);
      assert.ok(later.length === 1 && later[0] !== next, "after a long sleep there is a new one at once");
    });

    it("can be changed at once, as after a loss; the old one stays published", async () => {
      const store = await fresh();
      const [old] = await kidsOf(store);
      await store.rotate();
      const [now, kept, ...none] = await kidsOf(store);
      assert.ok(now !== old && kept === old && none.length === 0);
    });

    it("stand in the database sealed, and open with an older secret beside a new one", async () => {
      const store = await fresh();
      const { keys } = await store.load();
      const [row] = await database.sql<{ sealed: string; kid: string }>`select sealed, kid from signing_keys`;
      assert.ok(row && !row.sealed.includes(String(keys[0]?.jwk.d)));
      const both = createProviderSecret(["another secret, as long as it has to be", secretForTests], systemRandom);
      assert.deepEqual((await createSigningKeyStore(database, both, rules).load()).keys, keys);
      const other = createProviderSecret(["another secret, as long as it has to be"], systemRandom);
      await assert.rejects(
        createSigningKeyStore(database, other, rules).load(),
        isStartError("PROVIDER_SECRET_CHANGED"),
      );
    });

    it("show no private part", async () => {
      const [key] = (await (await fresh()).load()).keys;
      assert.ok(key);
      assert.deepEqual(Object.keys(toPublicJwk(key)).sort(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    });
  });
}

describe("a provider whose keys change", () => {
  it("goes on with the new one without a stop, and its old tokens stay good", async () => {
    const driver = engines.embedded.open();
    await driver.open();
    const schema = newSchema();
    const running = await startProvider({ driver, schema, clients: [{ id: "worker", kind: "machine" }] });
    try {
      const secret = await running.provider.clients.rotate("worker", 0);
      const kidOf = async () => {
        const body = new URLSearchParams({
          grant_type: "client_credentials",
          client_id: "worker",
          client_secret: secret,
        });
        const answer = await fetch(`${running.issuer}/token`, { method: "POST", body });
        const { access_token: token } = (await answer.json()) as { access_token: string };
        return JSON.parse(Buffer.from(token.split(".")[0] as string, "base64url").toString()).kid as string;
      };
      const old = await kidOf();
      const keys = createSigningKeyStore(
        createDatabase({ driver, schema }),
        createProviderSecret([secretForTests], systemRandom),
        rules,
      );
      await keys.rotate();
      await sleep(1_050);
      const published = (await running.provider.jwks()).keys.map(({ kid }) => kid);
      const now = await kidOf();
      assert.notEqual(now, old);
      assert.deepEqual(published, [now, old]);
      const served = (await (await fetch(`${running.issuer}/jwks`)).json()) as { keys: Record<string, unknown>[] };
      assert.deepEqual(
        served.keys.map(({ kid }) => kid),
        published,
      );
      assert.ok(served.keys.every((key) => !("d" in key)));
    } finally {
      await running.stop();
      await driver.close();
    }
  });
});
