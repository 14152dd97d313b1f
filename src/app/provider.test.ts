import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as client from "openid-client";
import { newId, systemRandom } from "../base/index.ts";
import type { Database } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import { createProviderDirectory, provider, providerSchema } from "../provider/index.ts";
import { createBrowser } from "../provider/testing.ts";
import { t } from "../schema/index.ts";
import { contract, method, service } from "../service/index.ts";
import { app } from "./app.ts";
import type { TestApp } from "./testing.ts";
import { startTestApp } from "./testing.ts";

const callback = "http://127.0.0.1:47019/callback";

const greeter = contract("greeter", {
  methods: {
    greet: method({ http: "GET /greeting", request: t.Object({}), response: t.Object({ hello: t.String() }) }),
    shout: method({
      http: "GET /shout",
      request: t.Object({}),
      response: t.Object({ hello: t.String() }),
      access: { scope: "greeting:loud" },
    }),
  },
});

const greeting = app({
  name: "greeting",
  services: [
    service(greeter, {
      methods: {
        greet: async (_request, { principal }) => ({ hello: principal.subject }),
        shout: async (_request, { principal }) => ({ hello: principal.subject.toUpperCase() }),
      },
    }),
  ],
  gateway: {
    identity: {
      provider: provider({
        scopes: { "greeting:loud": { description: "Greet loudly", everyone: true } },
        clients: [{ id: "web", kind: "browser", redirectUris: [callback] }],
      }),
    },
  },
});

const password = "an engine of brass";

/** The provider's tables, beside the running app. */
async function withProviderTables<R>(databaseUrl: string, run: (database: Database) => Promise<R>): Promise<R> {
  const driver = pglite.ports.database?.(new URL(databaseUrl));
  assert.ok(driver);
  await driver.open();
  try {
    return await run(createDatabase({ driver, schema: providerSchema }));
  } finally {
    await driver.close();
  }
}

/** As `plinth users add` does it. */
async function addUser(databaseUrl: string, name: string, password: string): Promise<void> {
  const declared = greeting.gateway.identity?.provider;
  assert.ok(declared);
  await withProviderTables(databaseUrl, (database) =>
    createProviderDirectory(declared, database, systemRandom).users.add({ name, password }),
  );
}

const pkceCodeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async function configOf(url: string): Promise<client.Configuration> {
  const options = { execute: [client.allowInsecureRequests] };
  return client.discovery(new URL(`${url}/auth`), "web", undefined, client.None(), options);
}

async function startOf(url: string): Promise<string> {
  const config = await configOf(url);
  return client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: "openid greeting:loud",
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  }).href;
}

async function signIn(url: string) {
  const browser = createBrowser(url);
  const back = await browser.submit(await browser.get(await startOf(url)), { name: "ada", password, do: "sign-in" });
  const config = await configOf(url);
  const tokens = await client.authorizationCodeGrant(config, new URL(back.url), { pkceCodeVerifier });
  return Object.assign(tokens, { config });
}

describe("an app with an identity provider", () => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-provider-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const databaseUrl = `pglite:memory:${newId()}`;
  let running: TestApp;
  before(async () => {
    running = await startTestApp(greeting, { settings: { dataFolder: folder, databaseUrl } });
    await addUser(databaseUrl, "ada", password);
  });
  after(() => running.stop());

  it("is found by its metadata, as OpenID Connect and as OAuth 2.1 put it", async () => {
    const issuer = `${running.url}/auth`;
    for (const path of ["/auth/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/auth"]) {
      const answer = await fetch(`${running.url}${path}`);
      const metadata = (await answer.json()) as Record<string, unknown>;
      assert.equal(answer.status, 200);
      assert.equal(metadata.issuer, issuer);
      assert.equal(metadata.token_endpoint, `${issuer}/token`);
      assert.deepEqual(metadata.code_challenge_methods_supported, ["S256"]);
      assert.deepEqual(metadata.grant_types_supported, ["authorization_code", "refresh_token", "client_credentials"]);
    }
  });

  it("takes the tokens that it gave, for what they allow", async () => {
    const tokens = await signIn(running.url);
    const ask = (path: string, token: string) =>
      fetch(`${running.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    const quiet = await ask("/greeting", tokens.access_token);
    assert.equal(quiet.status, 200);
    assert.deepEqual(await quiet.json(), { hello: tokens.claims()?.sub });
    assert.equal((await ask("/shout", tokens.access_token)).status, 200);
    assert.equal((await ask("/greeting", tokens.id_token ?? "")).status, 401, "an ID token lets nobody in");
    assert.equal((await fetch(`${running.url}/greeting`)).status, 401);
  });

  it("refuses access tokens at once when their sign-in was revoked", async () => {
    const { access_token: token, refresh_token: refresh = "", config } = await signIn(running.url);
    const ask = async () =>
      (await fetch(`${running.url}/greeting`, { headers: { authorization: `Bearer ${token}` } })).status;
    assert.equal(await ask(), 200);
    await client.tokenRevocation(config, refresh);
    assert.equal(await ask(), 401);
  });

  it("shares users, sessions, keys and limits with the other gateways of the app", async () => {
    const issuerUrl = `${running.url}/auth`;
    const other = await startTestApp(greeting, { settings: { dataFolder: folder, databaseUrl, issuerUrl } });
    try {
      const tokens = await signIn(running.url);
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      assert.equal((await fetch(`${other.url}/greeting`, { headers })).status, 200);
      const keysOf = async (url: string) => (await fetch(`${url}/auth/jwks`)).json();
      assert.deepEqual(await keysOf(other.url), await keysOf(running.url));
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        client_id: "web",
        refresh_token: tokens.refresh_token ?? "",
      });
      assert.equal((await fetch(`${other.url}/auth/token`, { method: "POST", body })).status, 200);
    } finally {
      await other.stop();
    }
  });

  it("counts tries by where they come from, not by what they say of it", async () => {
    await withProviderTables(databaseUrl, (database) => database.sql`delete from sign_in_limits`);
    const browser = createBrowser(running.url);
    const page = await browser.get(await startOf(running.url));
    for (const made of ["192.0.2.1", "192.0.2.2"]) {
      const headers = { "x-forwarded-for": made, "x-real-ip": made, forwarded: `for=${made}` };
      const answer = await browser.submit(page, { name: "nobody", password: "x", do: "sign-in" }, headers);
      assert.equal(answer.status, 401);
    }
    const rows = await withProviderTables(
      databaseUrl,
      (database) => database.sql`select 1 as one from sign_in_limits where key like 'address %'`,
    );
    assert.equal(rows.length, 1);
  });

  it("lets a client show its secret as Basic", async () => {
    const authorization = `Basic ${Buffer.from("nobody:secret").toString("base64")}`;
    const answer = await fetch(`${running.url}/auth/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: "client_credentials" }),
      headers: { authorization },
    });
    assert.equal(answer.status, 401);
    assert.equal(((await answer.json()) as { error: string }).error, "invalid_client", "the provider's own answer");
    assert.match(answer.headers.get("www-authenticate") ?? "", /^Basic realm=/);
  });
});
