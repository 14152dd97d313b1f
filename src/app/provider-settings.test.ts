import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { newId, StartError } from "../base/index.ts";
import { provider } from "../provider/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import type { App } from "./app.ts";
import { app } from "./app.ts";
import { createRuntime } from "./runtime.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-provider-settings-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const empty = app({ name: "empty", services: [], gateway: { identity: { provider: provider() } } });
const secret = "a-secret-for-tests-alone-and-long-enough";

/** Only puts the process together: nothing is opened. */
const make = (environment: Readonly<Record<string, string>>, definition: App = empty) =>
  createRuntime(definition, { environment: { PLINTH_DATA: folder, PLINTH_LOG: "silent", ...environment } });

const refuses = (environment: Readonly<Record<string, string>>, reason: string, pattern: RegExp) =>
  assert.rejects(make(environment), (thrown) => {
    assert.ok(thrown instanceof StartError, String(thrown));
    assert.equal(thrown.reason, reason);
    assert.match(thrown.message, pattern);
    return true;
  });

describe("the settings of an identity provider", () => {
  const production = { NODE_ENV: "production", DATABASE_URL: `pglite:memory:${newId()}` };

  it("must say in production where it is reached, and what it signs with", async () => {
    await refuses(
      { ...production, PLINTH_PROVIDER_SECRET: secret },
      "ISSUER_URL_MISSING",
      /https:\/\/shop\.example\.com\/auth/,
    );
    const url = { PLINTH_ISSUER_URL: "https://shop.example.com/auth" };
    await refuses({ ...production, ...url }, "PROVIDER_SECRET_MISSING", /PLINTH_PROVIDER_SECRET: it is not set/);
    await make({ ...production, ...url, PLINTH_PROVIDER_SECRET: secret });
    await make({ ...production, PLINTH_URL: "https://shop.example.com/", PLINTH_PROVIDER_SECRET: secret });
  });

  it("take an address that can be one", async () => {
    for (const url of [
      "https://shop.example.com/",
      "https://shop.example.com/auth/",
      "https://shop.example.com/auth?x",
      "https://user:word@shop.example.com/auth",
      "https://SHOP.example.com/auth",
      "shop.example.com/auth",
    ])
      await refuses({ PLINTH_ISSUER_URL: url }, "ISSUER_URL_INVALID", /write the whole address/);
    const plain = { ...production, PLINTH_PROVIDER_SECRET: secret, PLINTH_ISSUER_URL: "http://shop.example.com/auth" };
    await refuses(plain, "ISSUER_URL_INVALID", /passwords go there, so it begins with https/);
    await make({ ...plain, PLINTH_ISSUER_URL: "http://127.0.0.1:8080/auth" });
    await make({ PLINTH_ISSUER_URL: "https://example.com/shop/auth" });
  });

  it("take secrets that are long enough", async () => {
    await assert.rejects(make({ PLINTH_PROVIDER_SECRET: "short" }), /PLINTH_PROVIDER_SECRET/);
    await refuses(
      { PLINTH_PROVIDER_SECRET: `${secret} short and many words` },
      "PROVIDER_SECRET_WEAK",
      /separated by spaces/,
    );
    const file = join(folder, "file");
    writeFileSync(file, "");
    await refuses({ PLINTH_DATA: file }, "PROVIDER_SECRET_UNUSABLE", /let this user write there/);
  });

  it("are not asked for where another issuer takes its place", async () => {
    await make({ ...production, PLINTH_ISSUER: "https://login.example.com" });
  });

  it("come after what is wrong with its declaration", async () => {
    const wrong = app({ name: "wrong", services: [], gateway: { identity: { provider: provider({ path: "auth" }) } } });
    await assert.rejects(make({}, wrong), /identity provider: path: "auth"/);
    const mounts = [{ path: "/auth/own", handler: () => {} }];
    const taken = app({ name: "taken", services: [], gateway: { mounts, identity: { provider: provider() } } });
    await assert.rejects(make({}, taken), /the mount "\/auth\/own" is under "\/auth" as well/);
  });
});

describe("somebody to sign in as", () => {
  const start = async (environment: Readonly<Record<string, string>>) => {
    const place = mkdtempSync(join(folder, "data-"));
    const destination = createMemoryDestination();
    const runtime = await createRuntime(empty, {
      environment: { PLINTH_DATA: place, DATABASE_URL: `pglite:memory:${newId()}`, PORT: "0", ...environment },
      management: false,
      destination,
    });
    await runtime.start();
    await runtime.stop();
    return { place, said: destination.text };
  };

  it("is made in development, with a password of its own that no log shows", async () => {
    const { place, said } = await start({ NODE_ENV: "development" });
    const file = join(place, "developer-password");
    const password = readFileSync(file, "utf8").trim();
    assert.match(password, /^[a-z0-9-]{14}$/);
    assert.equal(statSync(file).mode & 0o077, 0);
    assert.ok(said.includes(`sign in as \\"developer\\" with the password in ${file}`), said);
    assert.ok(!said.includes(password));
    const again = await start({ NODE_ENV: "development" });
    assert.notEqual(readFileSync(join(again.place, "developer-password"), "utf8").trim(), password);
  });

  it("is not made in production", async () => {
    const { place, said } = await start({
      NODE_ENV: "production",
      PLINTH_ISSUER_URL: "https://shop.example.com/auth",
      PLINTH_PROVIDER_SECRET: secret,
    });
    assert.doesNotMatch(said, /developer/);
    assert.throws(() => statSync(join(place, "developer-password")), /ENOENT/);
  });
});
