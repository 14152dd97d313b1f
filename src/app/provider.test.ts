import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as client from "openid-client";
import { newId, systemRandom } from "../base/index.ts";
import { createDatabase } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import { createBrowser } from "../provider/browser.fixture.ts";
import { createProviderDirectory, provider, providerSchema } from "../provider/index.ts";
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

/** As `plinth users add` does it, beside the running app. */
async function addUser(databaseUrl: string, name: string, password: string): Promise<void> {
  const driver = pglite.ports.database?.(new URL(databaseUrl));
  assert.ok(driver);
  await driver.open();
  const database = createDatabase({ driver, schema: providerSchema });
  const declared = greeting.gateway.identity?.provider;
  assert.ok(declared);
  await createProviderDirectory(declared, database, systemRandom).users.add({ name, password });
  await driver.close();
}

async function signIn(url: string): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers> {
  const issuer = new URL(`${url}/auth`);
  const config = await client.discovery(issuer, "web", undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  });
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const start = client.buildAuthorizationUrl(config, {
    redirect_uri: callback,
    scope: "openid greeting:loud",
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
  });
  const browser = createBrowser(url);
  const back = await browser.submit(await browser.get(start.href), { name: "ada", password, do: "sign-in" });
  return client.authorizationCodeGrant(config, new URL(back.url), { pkceCodeVerifier });
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
});
