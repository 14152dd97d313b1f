import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase, sql } from "../database/index.ts";
import type { RunningProvider } from "./running.fixture.ts";
import { callback, challenge, engines, newSchema, startProvider, verifier } from "./running.fixture.ts";
import type { Browser } from "./test-browser.ts";
import { createBrowser } from "./test-browser.ts";

/** Attacks on the protocol: addresses, codes, proofs, tokens, headers. */

const person = { name: "ada", password: "an engine of brass" };

describe("attacks on the protocol", () => {
  let driver: DatabaseDriver;
  let running: RunningProvider;
  const schema = newSchema();

  before(async () => {
    driver = engines.embedded.open();
    await driver.open();
    running = await startProvider({
      driver,
      schema,
      scopes: { "cart:write": { description: "Fill the cart", everyone: true } },
      clients: [
        { id: "web", kind: "browser", redirectUris: [callback, `${callback}/two`], signOutUris: [callback] },
        { id: "other", kind: "browser", redirectUris: [callback] },
        { id: "program", kind: "native", redirectUris: ["http://127.0.0.1/callback"] },
        { id: "worker", kind: "machine" },
      ],
    });
    await running.provider.users.add(person);
  });
  after(async () => {
    await running.stop();
    await driver.close();
  });

  type Params = Readonly<Record<string, string | undefined>>;

  const query = (params: Params) =>
    new URLSearchParams(
      Object.entries(params).flatMap(([name, value]): [string, string][] =>
        value === undefined ? [] : [[name, value]],
      ),
    );
  const start = (params: Params = {}) =>
    `${running.issuer}/authorize?${query({
      client_id: "web",
      response_type: "code",
      redirect_uri: callback,
      scope: "openid",
      state: "s",
      ...challenge,
      ...params,
    })}`;
  const token = async (params: Params, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${running.issuer}/token`, {
      method: "POST",
      body: query({ client_id: "web", ...params }),
      headers,
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, string> };
  };
  const codeOf = async (params: Params = {}, browser: Browser = createBrowser(running.origin)) => {
    let page = await browser.get(start(params));
    if (page.status === 200) page = await browser.submit(page, { ...person, do: "sign-in" });
    const code = new URL(page.url).searchParams.get("code");
    assert.ok(code, `${page.status} ${page.url} ${page.text}`);
    return code;
  };
  const redeem = (code: string, params: Params = {}) =>
    token({ grant_type: "authorization_code", code, redirect_uri: callback, code_verifier: verifier, ...params });

  describe("a wrong address to come back to", () => {
    for (const redirectUri of [
      "https://evil.example.com/callback",
      `${callback}.evil.example.com`,
      `${callback}/../evil`,
      `${callback}?next=https://evil.example.com`,
      `${callback}#`,
      `${callback}/`,
      callback.replace("127.0.0.1", "127.0.0.1@evil.example.com"),
      callback.replace("127.0.0.1", "localhost"),
      callback.replace("47019", "47020"),
      callback.replace("http:", "https:"),
      callback.toUpperCase(),
      callback.replace("callback", "%63allback"),
      "javascript:alert(1)",
      "//evil.example.com",
      "",
    ]) {
      it(`is never followed: ${redirectUri || "none at all"}`, async () => {
        const answer = await fetch(start({ redirect_uri: redirectUri || undefined }), { redirect: "manual" });
        assert.equal(answer.status, 400);
        assert.equal(answer.headers.get("location"), null);
        assert.match(await answer.text(), /redirect_uri/);
      });
    }

    it("has a free port for a program on a loopback address, and nothing else", async () => {
      const ask = async (redirectUri: string) =>
        (await fetch(start({ client_id: "program", redirect_uri: redirectUri }), { redirect: "manual" })).status;
      assert.equal(await ask("http://127.0.0.1:61234/callback"), 303);
      assert.equal(await ask("http://127.0.0.1:61234/elsewhere"), 400);
      assert.equal(await ask("http://127.0.0.2:61234/callback"), 400);
    });

    it("is not followed after signing out either", async () => {
      for (const uri of ["https://evil.example.com/", `${callback}/../x`]) {
        const to = `${running.issuer}/sign-out?${query({ client_id: "web", post_logout_redirect_uri: uri })}`;
        assert.equal((await fetch(to, { redirect: "manual" })).status, 400);
      }
    });
  });

  describe("the proof key (PKCE)", () => {
    const refusedTo = async (params: Params) => {
      const answer = await fetch(start(params), { redirect: "manual" });
      const { origin, pathname, searchParams } = new URL(answer.headers.get("location") ?? "nowhere:");
      assert.equal(`${origin}${pathname}`, callback);
      assert.equal(searchParams.get("code"), null);
      assert.equal(searchParams.get("iss"), running.issuer);
      return searchParams.get("error");
    };

    it("is needed, and S256 alone", async () => {
      assert.equal(await refusedTo({ code_challenge: undefined, code_challenge_method: undefined }), "invalid_request");
      assert.equal(await refusedTo({ code_challenge: verifier, code_challenge_method: "plain" }), "invalid_request");
      assert.equal(await refusedTo({ code_challenge: verifier, code_challenge_method: undefined }), "invalid_request");
      assert.equal(await refusedTo({ code_challenge: "short" }), "invalid_request");
    });

    it("must be shown with the code, and be the right one", async () => {
      for (const wrong of [undefined, "", challenge.code_challenge, `${verifier}x`]) {
        const { status, body } = await redeem(await codeOf(), { code_verifier: wrong });
        assert.deepEqual([status, body.error], [400, "invalid_grant"]);
      }
    });
  });

  describe("a code", () => {
    it("is good once: used again, it ends what came of it", async () => {
      const code = await codeOf();
      const { body: first } = await redeem(code);
      assert.ok(first.refresh_token);
      assert.equal((await redeem(code)).body.error, "invalid_grant");
      const refreshed = await token({ grant_type: "refresh_token", refresh_token: first.refresh_token });
      assert.equal(refreshed.body.error, "invalid_grant");
    });

    it("is good once, also when two come at the same moment", async () => {
      const code = await codeOf();
      const answers = await Promise.all([redeem(code), redeem(code), redeem(code)]);
      const given = answers.filter(({ status }) => status === 200);
      assert.ok(given.length <= 1, "at most one is served");
      for (const { body } of given) {
        const again = await token({ grant_type: "refresh_token", refresh_token: body.refresh_token });
        assert.equal(again.body.error, "invalid_grant", "and its family ends");
      }
    });

    it("is nobody else's, and for no other address", async () => {
      assert.equal((await redeem(await codeOf(), { client_id: "other" })).body.error, "invalid_grant");
      assert.equal((await redeem(await codeOf(), { redirect_uri: `${callback}/two` })).body.error, "invalid_grant");
      assert.equal((await redeem(await codeOf(), { redirect_uri: undefined })).body.error, "invalid_request");
    });
  });

  describe("a token", () => {
    it("of another client is not refreshed, and with no more than was granted", async () => {
      const { body } = await redeem(await codeOf());
      const refresh = (params: Params) =>
        token({ grant_type: "refresh_token", refresh_token: body.refresh_token, ...params });
      assert.equal((await refresh({ client_id: "other" })).body.error, "invalid_grant");
      assert.equal((await refresh({ scope: "openid cart:write" })).body.error, "invalid_scope");
      const { status, body: next } = await refresh({});
      assert.equal(status, 200);
      const elsewhere = { refresh_token: next.refresh_token, resource: "https://evil.example.com/" };
      assert.equal((await refresh(elsewhere)).body.error, "invalid_target");
    });

    it("is not given for a password, to nobody, or by a way that is out of use", async () => {
      const ask = async (params: Params) => (await token(params)).body.error;
      assert.equal(
        await ask({ grant_type: "password", username: "ada", password: person.password }),
        "unsupported_grant_type",
      );
      assert.equal(await ask({ grant_type: "implicit" }), "unsupported_grant_type");
      assert.equal(await ask({ grant_type: "client_credentials" }), "invalid_request", "of a client without a secret");
      assert.equal(await ask({ grant_type: "client_credentials", client_id: "worker" }), "invalid_client");
      assert.equal(
        await ask({ grant_type: "client_credentials", client_id: "worker", client_secret: "" }),
        "invalid_client",
      );
      assert.equal(
        await ask({ grant_type: "client_credentials", client_id: "worker", client_secret: "sha256 " }),
        "invalid_client",
      );
      assert.equal(await ask({ grant_type: "authorization_code", client_id: "nobody", code: "x" }), "invalid_client");
      for (const type of ["token", "id_token", "code id_token", "none"]) {
        const answer = await fetch(start({ response_type: type, nonce: "n" }), { redirect: "manual" });
        assert.match(answer.headers.get("location") ?? "", /error=unsupported_response_type|error=unauthorized_client/);
      }
    });

    it("is given with a header that keeps it out of caches", async () => {
      const { headers } = await redeem(await codeOf());
      assert.equal(headers.get("cache-control"), "no-store");
    });

    it("is asked for by pages of the client's own origin alone", async () => {
      const code = await codeOf();
      const foreign = await redeem(code, {});
      assert.equal(foreign.headers.get("access-control-allow-origin"), "*", "nothing is sent along by itself");
      const ask = (origin: string) => token({ grant_type: "refresh_token", refresh_token: "x" }, { origin });
      const evil = await ask("https://evil.example.com");
      assert.equal(evil.body.error, "invalid_request");
      assert.equal(evil.headers.get("access-control-allow-origin"), null);
      assert.equal(
        (await ask(new URL(callback).origin)).headers.get("access-control-allow-origin"),
        new URL(callback).origin,
      );
    });
  });

  it("has no address that a header could change", async () => {
    const path = "/auth/.well-known/openid-configuration";
    const text = await new Promise<string>((resolve, reject) => {
      const headers = {
        host: "evil.example.com",
        "x-forwarded-host": "evil.example.com",
        "x-forwarded-proto": "https",
        forwarded: "host=evil.example.com;proto=https",
      };
      const asked = request(`${running.origin}${path}`, { headers }, (res) => {
        let body = "";
        res.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        res.on("end", () => resolve(body));
      });
      asked.on("error", reject).end();
    });
    assert.doesNotMatch(text, /evil/);
    assert.equal(JSON.parse(text).authorization_endpoint, `${running.issuer}/authorize`);
  });

  it("does not offer what it does not promise", async () => {
    const answer = await fetch(`${running.issuer}/.well-known/openid-configuration`);
    const metadata = (await answer.json()) as Record<string, unknown>;
    assert.deepEqual(metadata.response_types_supported, ["code"]);
    assert.deepEqual(metadata.id_token_signing_alg_values_supported, ["ES256"]);
    for (const absent of [
      "introspection_endpoint",
      "registration_endpoint",
      "userinfo_endpoint",
      "device_authorization_endpoint",
    ])
      assert.equal(metadata[absent], undefined, absent);
    for (const path of ["/reg", "/token/introspection", "/me", "/device", "/backchannel"])
      assert.equal((await fetch(`${running.issuer}${path}`, { method: "POST" })).status, 404, path);
  });

  it("leaves nothing in the database by which somebody could sign in", async () => {
    const browser = createBrowser(running.origin);
    const code = await codeOf({}, browser);
    const { body } = await redeem(code);
    const cookie = [...browser.cookies].find(([name]) => name.startsWith("plinth-session "))?.[1].value;
    const secret = await running.provider.clients.rotate("worker", 0);
    const database = createDatabase({ driver, schema });
    const tables = [
      "artifacts",
      "users",
      "clients",
      "client_secrets",
      "signing_keys",
      "sign_in_limits",
      "revoked_grants",
    ];
    let all = "";
    for (const table of tables) {
      all += JSON.stringify(await database.sql`select * from ${sql.id(table)}`);
    }
    assert.ok(all.length > 1000 && cookie && body.refresh_token);
    for (const word of [code, body.refresh_token, cookie, secret, person.password, '"d":'])
      assert.ok(!all.includes(word), `${word} stands in a table`);
  });
});
