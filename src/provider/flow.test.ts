import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as client from "openid-client";
import type { DatabaseDriver } from "../database/index.ts";
import type { RunningProvider } from "./running.fixture.ts";
import { callback, dropSchema, engines, newSchema, startProvider } from "./running.fixture.ts";
import { createBrowser } from "./test-browser.ts";

/** A certified client against the provider, on each engine: what OpenID Connect and OAuth 2.1 promise it. */

const insecure = { execute: [client.allowInsecureRequests] };
const ada = { name: "ada", password: "an engine of brass", displayName: "Ada", email: "ada@example.com" };
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString());
const headerOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[0] as string, "base64url").toString());
const refused = (error: string) => (thrown: unknown) =>
  thrown instanceof client.ResponseBodyError && thrown.error === error;

for (const { name, skip, open } of Object.values(engines)) {
  describe(`a certified client on ${name}`, { skip }, () => {
    let driver: DatabaseDriver;
    let running: RunningProvider;
    let config: client.Configuration;
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
          { id: "site", kind: "server", redirectUris: [callback] },
          { id: "worker", kind: "machine", scopes: ["catalog:write"] },
        ],
      });
      await running.provider.users.add({ ...ada, roles: ["buyer"] });
      await running.provider.users.add({ name: "grace", password: ada.password, scopes: ["catalog:write"] });
      config = await client.discovery(new URL(running.issuer), "web", undefined, client.None(), insecure);
    });
    after(async () => {
      await running?.stop();
      await dropSchema(driver, schema);
      await driver.close();
    });

    /** The whole way of a person, with a browser of their own. */
    const signIn = async (
      scope: string,
      { as = ada.name, by = config, browser = createBrowser(running.origin) } = {},
    ) => {
      const pkceCodeVerifier = client.randomPKCECodeVerifier();
      const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
      const url = client.buildAuthorizationUrl(by, {
        redirect_uri: callback,
        scope,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: "S256",
        state: expectedState,
        nonce: expectedNonce,
      });
      let page = await browser.get(url.href);
      if (page.status === 200) page = await browser.submit(page, { name: as, password: ada.password, do: "sign-in" });
      assert.ok(page.url.startsWith(callback), `${page.status} ${page.url} ${page.text}\n${running.lines.join("\n")}`);
      const checks = { pkceCodeVerifier, expectedState, expectedNonce };
      return client.authorizationCodeGrant(by, new URL(page.url), checks);
    };

    it("gets tokens for a code with PKCE", async () => {
      const tokens = await signIn("openid profile email cart:write");
      const { sub, name, email, aud } = claimsOf(tokens.id_token ?? "");
      assert.deepEqual([name, email, aud], ["Ada", "ada@example.com", "web"]);
      assert.deepEqual(headerOf(tokens.access_token).typ, "at+jwt");
      assert.deepEqual(headerOf(tokens.access_token).alg, "ES256");
      const { iat, exp, jti, grant_id, ...rest } = claimsOf(tokens.access_token);
      assert.equal(exp - iat, 600);
      assert.ok(jti && grant_id);
      assert.deepEqual(rest, {
        iss: running.issuer,
        aud: "tests",
        sub,
        client_id: "web",
        scope: "cart:write",
        roles: ["buyer"],
        name: "Ada",
        email: "ada@example.com",
      });
    });

    it("is given what the person may have, and no more", async () => {
      assert.equal((await signIn("openid cart:write catalog:write")).scope, "cart:write");
      assert.equal(
        (await signIn("openid cart:write catalog:write", { as: "grace" })).scope,
        "cart:write catalog:write",
      );
    });

    it("need not ask a person twice in one session", async () => {
      const browser = createBrowser(running.origin);
      const first = await signIn("openid", { browser });
      const second = await signIn("openid cart:write", { browser });
      assert.equal(first.claims()?.sub, second.claims()?.sub);
      assert.equal(second.scope, "cart:write");
    });

    it("refreshes, each token once; the second use of one ends all that came of the sign-in", async () => {
      const first = await signIn("openid cart:write");
      const second = await client.refreshTokenGrant(config, first.refresh_token ?? "");
      assert.notEqual(second.refresh_token, first.refresh_token);
      assert.equal(second.scope, "cart:write");
      const { grant_id: grant } = claimsOf(second.access_token);
      assert.equal(await running.provider.isRevoked(grant), false);
      await assert.rejects(client.refreshTokenGrant(config, first.refresh_token ?? ""), refused("invalid_grant"));
      await assert.rejects(client.refreshTokenGrant(config, second.refresh_token ?? ""), refused("invalid_grant"));
      assert.equal(await running.provider.isRevoked(grant), true, "its access tokens as well");
    });

    it("lets one of two refreshes at once through at most", async () => {
      const { refresh_token: token = "", access_token } = await signIn("openid");
      const both = await Promise.allSettled([1, 2].map(() => client.refreshTokenGrant(config, token)));
      const winners = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      assert.ok(winners.length <= 1);
      for (const { refresh_token: next = "" } of winners)
        await assert.rejects(client.refreshTokenGrant(config, next), refused("invalid_grant"));
      assert.equal(await running.provider.isRevoked(claimsOf(access_token).grant_id), true);
    });

    it("is revoked: the token, and the access tokens that came of it", async () => {
      const tokens = await signIn("openid");
      await client.tokenRevocation(config, tokens.refresh_token ?? "");
      await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? ""), refused("invalid_grant"));
      assert.equal(await running.provider.isRevoked(claimsOf(tokens.access_token).grant_id), true);
    });

    it("is signed out with the person, unless it was to act while they are away", async () => {
      const browser = createBrowser(running.origin);
      const bound = await signIn("openid", { browser });
      const page = await browser.get(`${running.issuer}/sign-out`);
      assert.equal((await browser.submit(page, { logout: "yes" })).status, 200);
      await assert.rejects(client.refreshTokenGrant(config, bound.refresh_token ?? ""), refused("invalid_grant"));
      assert.equal(await running.provider.isRevoked(claimsOf(bound.access_token).grant_id), true);
    });

    it("cannot revoke the token of another client", async () => {
      const secret = await running.provider.clients.rotate("site", 0);
      const other = await client.discovery(new URL(running.issuer), "site", secret, undefined, insecure);
      const { refresh_token: token = "" } = await signIn("openid");
      await client.tokenRevocation(other, token);
      assert.ok((await client.refreshTokenGrant(config, token)).access_token);
    });

    it("signs in for a web application that has a secret", async () => {
      const secret = await running.provider.clients.rotate("site", 0);
      const by = await client.discovery(new URL(running.issuer), "site", secret, undefined, insecure);
      assert.equal((await signIn("openid", { by })).claims()?.aud, "site");
      const wrong = await client.discovery(new URL(running.issuer), "site", "wrong", undefined, insecure);
      await assert.rejects(signIn("openid", { by: wrong }), refused("invalid_client"));
    });

    it("acts for itself as a machine, for what it may do", async () => {
      const secret = await running.provider.clients.rotate("worker", 0);
      const machine = await client.discovery(new URL(running.issuer), "worker", secret, undefined, insecure);
      const tokens = await client.clientCredentialsGrant(machine, { scope: "catalog:write" });
      const { sub, client_id, scope, aud } = claimsOf(tokens.access_token);
      assert.deepEqual([sub, client_id, scope, aud], ["worker", "worker", "catalog:write", "tests"]);
      assert.equal(tokens.refresh_token, undefined);
      await assert.rejects(client.clientCredentialsGrant(machine, { scope: "cart:write" }), refused("invalid_scope"));
      const wrong = await client.discovery(new URL(running.issuer), "worker", "wrong", undefined, insecure);
      await assert.rejects(client.clientCredentialsGrant(wrong), refused("invalid_client"));
    });

    it("keeps an old secret for as long as it was told when a new one is made", async () => {
      const old = await running.provider.clients.rotate("worker", 0);
      const next = await running.provider.clients.rotate("worker", 60_000);
      const grant = async (secret: string) =>
        client.clientCredentialsGrant(
          await client.discovery(new URL(running.issuer), "worker", secret, undefined, insecure),
        );
      assert.ok((await grant(old)).access_token && (await grant(next)).access_token);
      await running.provider.clients.rotate("worker", 0);
      await assert.rejects(grant(old), refused("invalid_client"));
      await assert.rejects(grant(next), refused("invalid_client"));
    });

    it("is shut out with a user who is disabled, and lets back in who is enabled again", async () => {
      const browser = createBrowser(running.origin);
      const tokens = await signIn("openid", { as: "grace", browser });
      await running.provider.users.setDisabled("grace", true);
      await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token ?? ""), refused("invalid_grant"));
      assert.equal(await running.provider.isRevoked(claimsOf(tokens.access_token).grant_id), true);
      await assert.rejects(
        signIn("openid", { as: "grace", browser }),
        /wrong/,
        "session and password are worth nothing",
      );
      await running.provider.users.setDisabled("grace", false);
      assert.ok((await signIn("openid", { as: "grace" })).access_token);
    });
  });
}
