import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import shop from "./app.ts";
import { ask, refuse, take } from "./http.fixture.ts";
import { card, shipTo } from "./purchase.fixture.ts";
import { newFolder, startShop, type TestShop } from "./shop.fixture.ts";
import { signIn } from "./sign-in.ts";

describe("signing in to the shop", () => {
  let running: TestShop;
  let folder: string;
  let issuer: string;

  before(async () => {
    folder = await newFolder();
    running = await startShop({ folder, gateway: shop.gateway, environment: { NODE_ENV: "development" } });
    issuer = `${running.url}/auth`;
  });
  after(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A person who reads, types and clicks, without a browser. */
  async function person(address: string, password: string): Promise<void> {
    const cookies = new Map<string, string>();
    const go = async (url: string, init: RequestInit = {}): Promise<{ url: string; text: string }> => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
      const answer = await fetch(url, {
        ...init,
        redirect: "manual",
        headers: { ...init.headers, cookie, accept: "text/html" },
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (value !== "") cookies.set(name, value);
      }
      const to = answer.headers.get("location");
      return to === null ? { url, text: await answer.text() } : go(new URL(to, url).href);
    };
    const submit = ({ url, text }: { url: string; text: string }, fields: Record<string, string>) => {
      const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? "";
      return go(url, { method: "POST", body: new URLSearchParams({ csrf, ...fields }) });
    };
    const page = await go(address);
    const consent = await submit(page, { name: "developer", password, do: "sign-in" });
    assert.match(consent.text, /Allow The shop&#39;s terminal\?/);
    assert.match((await submit(consent, { do: "allow" })).text, /go back to the terminal/);
  }

  it("works from a terminal for the developer whom development makes, who can then buy", async () => {
    const password = (await readFile(join(folder, "developer-password"), "utf8")).trim();
    let opened: Promise<void> | undefined;
    const token = await signIn(issuer, "openid profile email", (address) => {
      opened = person(address, password);
    });
    await opened;
    await take(running.url, "PUT /cart/items/candle", { token, body: { quantity: 2 } });
    const account = await take(running.url, "GET /account", { token });
    assert.deepEqual([account.email, account.name], ["developer@example.com", "Developer"]);
    const order = await take(running.url, "POST /orders", { token, status: 201, body: { card, shipTo } });
    assert.equal((await take(running.url, `GET /orders/${order.id}`, { token })).status, "placed");
    const price = { token, body: { cents: 1 } };
    assert.equal((await ask(running.url, "PUT /prices/candle", price)).status, 403, "not even in development");
  });

  it("opens an account for a guest once, and takes no other's address over", async () => {
    const twice = await running.run("select count(*)::int as count from accounts.accounts where password is null");
    assert.equal(twice[0]?.count, 1);
    const body = { email: "developer@example.com", password: "a long password", name: "Somebody else" };
    await refuse(running.url, "POST /accounts", { body, status: 409, reason: "EMAIL_TAKEN" });
    const session = { email: body.email, password: body.password };
    await refuse(running.url, "POST /sessions", { body: session, status: 401, reason: "CREDENTIALS_WRONG" });
  });

  it("lets a machine do what it may, and nothing else", async () => {
    const secret = randomBytes(32).toString("base64url");
    const hash = createHash("sha256").update(secret).digest("base64url");
    // As `plinth clients rotate backoffice` does.
    await running.run(`insert into plinth_provider.client_secrets (client, hash) values ('backoffice', '${hash}')`);
    const answer = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${Buffer.from(`backoffice:${secret}`).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "client_credentials", scope: "prices:write" }),
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const price = await take(running.url, "PUT /prices/candle", { token, body: { cents: 1234 } });
    assert.match(JSON.stringify(price), /1234/);
    const delivery = { token, body: { quantity: 1 } };
    assert.equal((await ask(running.url, "PUT /products/candle/deliveries/one", delivery)).status, 403);
  });
});
