import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemRandom } from "../base/index.ts";
import { html } from "./markup.ts";
import type { ClientOptions, ProviderOptions } from "./provider.ts";
import { provider } from "./provider.ts";
import { isStartError } from "./running.fixture.ts";
import { createProviderSecret } from "./secret.ts";
import { sourceOf } from "./status-pages.ts";

describe("the declaration of a provider", () => {
  const says = (options: ProviderOptions, pattern: RegExp) => {
    const { problems } = provider(options);
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", pattern);
  };
  const client = (options: Partial<ClientOptions>): ProviderOptions => ({
    clients: [{ id: "web", kind: "browser", redirectUris: ["https://a.example.com/x"], ...options } as ClientOptions],
  });

  it("needs nothing", () => {
    const { problems, path, accessTokenMs, refreshTokenMs, sessionMs } = provider();
    assert.deepEqual(problems, []);
    assert.deepEqual([path, accessTokenMs, refreshTokenMs, sessionMs], ["/auth", 600_000, 1_209_600_000, 43_200_000]);
  });

  it("names what is wrong, and the remedy", () => {
    says({ path: "/auth/" }, /path: "\/auth\/": it begins with "\/" and does not end with it/);
    says({ ttl: { accessToken: "2h" } }, /ttl\.accessToken: "2h": write a duration from "1s" to "1h"/);
    says({ ttl: { session: "0s" } }, /ttl\.session/);
    says({ rotateKeysEvery: "1m" }, /rotateKeysEvery: "1m": write a duration from "1h" to "365d"/);
    says({ scopes: { openid: "x" } }, /"openid" is no scope of an app/);
    says({ scopes: { "two words": "x" } }, /no scope of an app/);
    says(
      {
        clients: [
          { id: "a", kind: "machine" },
          { id: "a", kind: "machine" },
        ],
      },
      /two have the id "a"/,
    );
    says(client({ id: "a b" }), /use 1 to 100 letters/);
    says(client({ redirectUris: [] }), /say where people come back to/);
    says(client({ kind: "machine" }), /nobody signs in with a machine/);
    says(client({ scopes: ["x:y"] }), /"x:y" is not among the provider's scopes/);
  });

  it("takes addresses to come back to that keep a code secret", () => {
    const good = (uri: string, kind: ClientOptions["kind"] = "browser") =>
      assert.deepEqual(provider(client({ redirectUris: [uri], kind })).problems, [], uri);
    good("http://127.0.0.1:5173/x");
    good("http://localhost/x");
    good("http://[::1]:1/x", "native");
    good("com.example.app:/callback", "native");
    for (const uri of [
      "http://a.example.com/x",
      "https://*.example.com/x",
      "https://a.example.com/x#y",
      "nowhere",
      "app:/x",
    ])
      says(client({ redirectUris: [uri] }), /web|:/);
    says(client({ redirectUris: ["javascript:alert(1)"], kind: "native" }), /use https, a loopback address/);
    says(client({ signOutUris: ["http://a.example.com/"] }), /use https; http is for this machine alone/);
  });
});

describe("the provider's secret", () => {
  const long = (letter: string) => letter.repeat(32);

  it("signs and seals, each purpose with a key of its own", () => {
    const secret = createProviderSecret([long("a")], systemRandom);
    assert.ok(secret.verify("x", "data", secret.sign("x", "data")));
    assert.ok(!secret.verify("y", "data", secret.sign("x", "data")));
    assert.ok(!secret.verify("x", "data", ""));
    assert.notEqual(secret.cookies.sign("data"), secret.sign("cookies", "data"));
    assert.ok(secret.cookies.verify("data", secret.cookies.sign("data")));
    const sealed = secret.seal("text", "name");
    assert.notEqual(sealed, secret.seal("text", "name"));
    assert.equal(secret.open(sealed, "name"), "text");
    assert.equal(secret.open(sealed, "another"), undefined);
    assert.equal(secret.open(`${sealed.slice(0, -2)}AA`, "name"), undefined);
    assert.equal(secret.open("", "name"), undefined);
  });

  it("may have older ones beside it, for what comes back", () => {
    const old = createProviderSecret([long("a")], systemRandom);
    const both = createProviderSecret([long("b"), long("a")], systemRandom);
    assert.ok(both.verify("x", "data", old.sign("x", "data")));
    assert.equal(both.cookies.index("data", old.cookies.sign("data")), 1);
    assert.equal(both.open(old.seal("text", "n"), "n"), "text");
    assert.ok(!old.verify("x", "data", both.sign("x", "data")));
  });

  it("has a length", () => {
    for (const weak of [[], ["short"], [long("a"), "short"]])
      assert.throws(() => createProviderSecret(weak, systemRandom), isStartError("PROVIDER_SECRET_WEAK"));
  });
});

describe("markup", () => {
  it("escapes what it is given, unless that is markup itself", () => {
    const word = `<a href="x" title='y'>&\``;
    const escaped = "&#60;a href=&#34;x&#34; title=&#39;y&#39;&#62;&#38;&#96;";
    assert.equal(html`<p title="${word}">${word}</p>`.text, `<p title="${escaped}">${escaped}</p>`);
    assert.equal(html`${html`<b>`}${[html`<i>`, html`<u>`]}${undefined}${false}${7}`.text, "<b><i><u>7");
  });
});

describe("a source for a policy", () => {
  it("is the origin of an address, or the scheme of a program", () => {
    assert.equal(sourceOf("https://a.example.com/x?y"), "https://a.example.com");
    assert.equal(sourceOf("com.example.app:/callback"), "com.example.app:");
    assert.equal(sourceOf("x; script-src *"), undefined);
    assert.equal(sourceOf(undefined), undefined);
  });
});
