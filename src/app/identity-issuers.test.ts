import assert from "node:assert/strict";
import { test } from "node:test";
import type { IssuerDefinition } from "../identity/index.ts";
import { issuer } from "../identity/index.ts";
import type { IdentityProvider } from "../provider/index.ts";
import { provider as declareProvider } from "../provider/index.ts";
import { app } from "./app.ts";
import { resolveIssuers } from "./identity-issuers.ts";

const own = { issuer: "https://shop.example.com/auth", audience: "shop", jwks: () => ({ keys: [] }) };
const provider = own as unknown as IdentityProvider;

interface Given {
  readonly issuers?: readonly IssuerDefinition[];
  readonly withProvider?: boolean;
  readonly issuer?: string;
  readonly named?: Readonly<Record<string, string>>;
  readonly audience?: string;
}

function resolved({ issuers = [], withProvider = false, named, ...settings }: Given) {
  const identity = { issuers, ...(withProvider && { provider: declareProvider() }) };
  const found = resolveIssuers({
    definition: app({ name: "shop", services: [], gateway: { identity } }),
    settings: {
      issuer: settings.issuer,
      audience: settings.audience,
      issuers: named && new Map(Object.entries(named)),
    },
    provider: withProvider && settings.issuer === undefined ? provider : undefined,
  });
  return found.map((each) => [each.url, each.audience, each.keys !== undefined] as const);
}

const a = issuer({ name: "a", url: "https://a.example", audience: "aa", jwksUrl: "https://a.example/jwks" });
const b = issuer({ url: "https://b.example", audience: "bb" });
const local = issuer({ name: "l", url: "here", audience: "ll", keys: { keys: [] } });
const other = "https://other.example";

test("without settings those that are declared are believed, and the provider", () => {
  assert.deepEqual(resolved({}), []);
  assert.deepEqual(resolved({ issuers: [a, b], withProvider: true }), [
    ["https://a.example", "aa", false],
    ["https://b.example", "bb", false],
    ["https://shop.example.com/auth", "shop", true],
  ]);
});

test("PLINTH_ISSUER takes the place of the provider, of the only issuer, or of none", () => {
  assert.deepEqual(resolved({ issuer: other }), [[other, "shop", false]]);
  assert.deepEqual(resolved({ issuer: other, audience: "x" }), [[other, "x", false]]);
  assert.deepEqual(resolved({ issuer: other, issuers: [a] }), [[other, "aa", false]]);
  assert.deepEqual(resolved({ issuer: other, issuers: [local], audience: "x" }), [[other, "x", false]]);
  assert.deepEqual(resolved({ issuer: other, issuers: [a], withProvider: true }), [
    ["https://a.example", "aa", false],
    [other, "shop", false],
  ]);
  assert.throws(() => resolved({ issuer: other, issuers: [a, b] }), /PLINTH_ISSUER: the app declares 2 issuers/);
});

test("where keys were fetched from is forgotten with the address, what is checked is not", () => {
  const definition = app({
    name: "shop",
    services: [],
    gateway: { identity: { issuers: [issuer({ ...a, algorithms: ["ES384"], leeway: "1s" })] } },
  });
  const [found] = resolveIssuers({
    definition,
    settings: { issuer: other, issuers: undefined, audience: undefined },
    provider: undefined,
  });
  assert.deepEqual([found?.jwksUrl, found?.algorithms, found?.leeway], [undefined, ["ES384"], "1s"]);
});

test("PLINTH_ISSUERS finds issuers by their names", () => {
  assert.deepEqual(resolved({ issuers: [a, b, local], named: { a: other, l: "https://l.example" } }), [
    [other, "aa", false],
    ["https://b.example", "bb", false],
    ["https://l.example", "ll", false],
  ]);
  assert.throws(() => resolved({ issuers: [a, b], named: { c: other } }), /no issuer has the name "c"; there are a\./);
  assert.throws(() => resolved({ issuers: [b], named: { c: other } }), /give one to an issuer/);
});

test("PLINTH_AUDIENCE alone is the audience of the only issuer", () => {
  assert.deepEqual(resolved({ issuers: [a], audience: "x" }), [["https://a.example", "x", false]]);
  assert.throws(() => resolved({ issuers: [a, b], audience: "x" }), /PLINTH_AUDIENCE: the app declares 2 issuers/);
  assert.throws(() => resolved({ audience: "x" }), /no issuer.*set PLINTH_ISSUER too/);
});
