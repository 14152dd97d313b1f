import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as client from "openid-client";
import type { DatabaseDriver } from "../database/index.ts";
import { createBrowser } from "./browser.fixture.ts";
import type { RunningProvider } from "./running.fixture.ts";
import { callback, dropSchema, engines, newSchema, startProvider } from "./running.fixture.ts";

const insecure = { execute: [client.allowInsecureRequests] };
const ada = { name: "ada", password: "an engine of brass", displayName: "Ada", email: "ada@example.com" };

for (const { name, skip, open } of Object.values(engines)) {
  describe(`signing in on ${name}`, { skip }, () => {
    let driver: DatabaseDriver;
    let running: RunningProvider;
    const schema = newSchema();

    before(async () => {
      driver = open();
      await driver.open();
      running = await startProvider({
        driver,
        schema,
        scopes: {
          "catalog:write": "Change the catalog",
          "cart:write": { description: "Fill the cart", everyone: true },
        },
        clients: [
          { id: "web", kind: "browser", name: "Web shop", redirectUris: [callback] },
          { id: "worker", kind: "machine", scopes: ["catalog:write"] },
        ],
      });
      await running.provider.users.add(ada);
    });
    after(async () => {
      await running.stop();
      await dropSchema(driver, schema);
      await driver.close();
    });

    it("gives a certified client tokens for a code with PKCE", async () => {
      const config = await client.discovery(new URL(running.issuer), "web", undefined, client.None(), insecure);
      const verifier = client.randomPKCECodeVerifier();
      const state = client.randomState();
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: callback,
        scope: "openid profile cart:write catalog:write",
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
      });
      const browser = createBrowser(running.origin);
      const page = await browser.get(url.href);
      const back = await browser.submit(page, { name: "Ada", password: ada.password, do: "sign-in" });
      assert.ok(back.url.startsWith(callback), `${back.status} ${back.url} ${back.text} ${running.lines.join("\n")}`);
      const tokens = await client.authorizationCodeGrant(config, new URL(back.url), {
        pkceCodeVerifier: verifier,
        expectedState: state,
      });
      assert.equal(tokens.claims()?.name, "Ada");
      assert.equal(tokens.scope, "cart:write");
    });
  });
}
