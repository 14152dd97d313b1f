import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { DatabaseDriver } from "../database/index.ts";
import { createDatabase } from "../database/index.ts";
import { formBytesMax } from "./form.ts";
import type { RunningProvider } from "./running.fixture.ts";
import { callback, challenge, engines, newSchema, startProvider } from "./running.fixture.ts";
import type { Browser, Walk } from "./test-browser.ts";
import { createBrowser } from "./test-browser.ts";

/** Attacks on the sign-in page: forged forms, planted sessions, guessing, listening. */

const person = { name: "ada", password: "an engine of brass" };

describe("attacks on signing in", () => {
  let driver: DatabaseDriver;
  let running: RunningProvider;
  const schema = newSchema();

  before(async () => {
    driver = engines.embedded.open();
    await driver.open();
    running = await startProvider({
      driver,
      schema,
      clients: [
        { id: "web", kind: "browser", redirectUris: [callback] },
        { id: "partner", kind: "browser", redirectUris: [callback], thirdParty: true },
      ],
    });
    await running.provider.users.add(person);
  });
  after(async () => {
    await running.stop();
    await driver.close();
  });

  const start = (params: Readonly<Record<string, string>> = {}) =>
    `${running.issuer}/authorize?${new URLSearchParams({
      client_id: "web",
      response_type: "code",
      redirect_uri: callback,
      scope: "openid",
      ...challenge,
      ...params,
    })}`;
  const open = async (params = {}): Promise<{ browser: Browser; page: Walk }> => {
    const browser = createBrowser(running.origin);
    return { browser, page: await browser.get(start(params)) };
  };
  const right = { ...person, do: "sign-in" };
  const isIn = ({ url }: Walk) => new URL(url).searchParams.has("code");
  const forgiveAll = () => createDatabase({ driver, schema }).sql`delete from sign_in_limits`;
  const sessionOf = ({ cookies }: Browser) => cookies.get("plinth-session /")?.value;

  describe("a form from elsewhere", () => {
    const refused = async (forge: (browser: Browser, page: Walk) => Promise<Walk>) => {
      const { browser, page } = await open();
      const answer = await forge(browser, page);
      assert.ok(!isIn(answer) && answer.status >= 400, `${answer.status} ${answer.url}`);
      assert.match(answer.text, /Please start again/);
      assert.ok(isIn(await browser.submit(page, right)), "the person's own form still counts");
    };

    it("does not count without its signature, or with another one", async () => {
      await refused((browser, page) =>
        browser.submit({ ...page, text: page.text.replace(/name="csrf"/, 'name="x"') }, right),
      );
      await refused((browser, page) =>
        browser.submit({ ...page, text: page.text.replace(/(name="csrf" value=")./, "$1!") }, right),
      );
      const { page: others } = await open();
      const csrf = /name="csrf" value="([^"]+)"/.exec(others.text)?.[1];
      await refused((browser, page) =>
        browser.submit(
          { ...page, text: page.text.replace(/name="csrf" value="[^"]+"/, `name="csrf" value="${csrf}"`) },
          right,
        ),
      );
    });

    it("does not count when a browser says that it is from elsewhere", async () => {
      await refused((browser, page) => browser.submit(page, right, { origin: "https://evil.example.com" }));
      await refused((browser, page) => browser.submit(page, right, { origin: "null" }));
      await refused((browser, page) => browser.submit(page, right, { "sec-fetch-site": "cross-site" }));
      await refused((browser, page) => browser.submit(page, right, { "sec-fetch-site": "same-site" }));
    });

    it("does not count in a browser without the cookie, or with one that was changed", async () => {
      await refused((_browser, page) => createBrowser(running.origin).submit(page, right));
      const { browser, page } = await open();
      const key = [...browser.cookies.keys()].find((each) => each.startsWith("plinth-interaction ")) as string;
      const { page: others } = await open();
      const uid = others.url.split("/").at(-1) as string;
      browser.cookies.set(key, { ...(browser.cookies.get(key) as { path: string; line: string }), value: uid });
      assert.equal((await browser.submit(page, right)).status, 400);
    });

    it("is not a link: what stands in an address signs nobody in", async () => {
      const { browser, page } = await open();
      const answer = await browser.get(`${page.url}?${new URLSearchParams({ ...right })}`);
      assert.equal(answer.status, 200);
      assert.match(answer.text, /<h1>Sign in<\/h1>/);
    });

    it("is a form, of a size, with each field once", async () => {
      const { browser, page } = await open();
      const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] as string;
      const cookie = [...browser.cookies].map(([key, { value }]) => `${key.split(" ")[0]}=${value}`).join("; ");
      const post = async (body: string, type = "application/x-www-form-urlencoded") =>
        (await fetch(page.url, { method: "POST", body, headers: { cookie, "content-type": type }, redirect: "manual" }))
          .status;
      const fields = `csrf=${csrf}&name=ada&password=${encodeURIComponent(person.password)}&do=sign-in`;
      assert.equal(await post(`${fields}&csrf=${csrf}`), 403);
      assert.equal(await post(`${fields}&x=${"x".repeat(formBytesMax)}`), 403);
      assert.equal(await post(fields, "text/plain"), 403);
      assert.equal(await post(JSON.stringify({ csrf, ...right }), "application/json"), 403);
      assert.equal((await fetch(page.url, { method: "PUT", headers: { cookie } })).status, 405);
      assert.equal(await post(fields), 303);
    });

    it("of one step does not count at another", async () => {
      const { browser, page } = await open({ client_id: "partner" });
      const signed = await browser.submit(page, right);
      assert.match(signed.text, /Allow partner/);
      const old = /name="csrf" value="[^"]+"/.exec(page.text)?.[0] as string;
      const forged = await browser.submit(
        { ...signed, text: signed.text.replace(/name="csrf" value="[^"]+"/, old) },
        { do: "allow" },
      );
      assert.equal(forged.status, 403);
      assert.equal((await browser.submit(signed, { do: "whatever" })).status, 400);
      assert.ok(isIn(await browser.submit(signed, { do: "allow" })));
    });
  });

  describe("a session", () => {
    it("is another one after signing in: what was planted before is worth nothing", async () => {
      const attacker = createBrowser(running.origin);
      await attacker.get(start());
      await attacker.get(`${running.issuer}/sign-out`);
      const planted = sessionOf(attacker);
      assert.ok(planted, "a session of nobody");
      const victim = createBrowser(running.origin);
      for (const [key, cookie] of attacker.cookies)
        if (key.startsWith("plinth-session")) victim.cookies.set(key, cookie);
      assert.ok(isIn(await victim.submit(await victim.get(start()), right)));
      assert.notEqual(sessionOf(victim), planted);
      assert.match((await attacker.get(start())).text, /<h1>Sign in<\/h1>/, "the attacker is still nobody");
    });

    it("is not made by whoever invents its id", async () => {
      const { browser, page } = await open();
      assert.ok(isIn(await browser.submit(page, right)));
      const key = "plinth-session /";
      const known = browser.cookies.get(key);
      assert.ok(known);
      assert.ok(isIn(await browser.get(start())), "signed in");
      browser.cookies.delete("plinth-session.sig /");
      assert.match((await browser.get(start())).text, /<h1>Sign in<\/h1>/, "without its signature it is none");
    });

    it("ends on the server when somebody signs out", async () => {
      const { browser, page } = await open();
      await browser.submit(page, right);
      const kept = new Map(browser.cookies);
      await browser.submit(await browser.get(`${running.issuer}/sign-out`), { logout: "yes" });
      for (const [key, cookie] of kept) browser.cookies.set(key, cookie);
      assert.match((await browser.get(start())).text, /<h1>Sign in<\/h1>/, "the old cookie is worth nothing");
    });

    it("does not end by a link or a form of somebody else", async () => {
      const { browser, page } = await open();
      await browser.submit(page, right);
      const answer = await browser.submit(await browser.get(`${running.issuer}/sign-out`), {
        logout: "yes",
        xsrf: "wrong",
      });
      assert.equal(answer.status, 400);
      assert.ok(isIn(await browser.get(start())));
    });

    it("is not sent to other sites, not shown to scripts, and over TLS bound to the host", async () => {
      const behind = await startProvider({
        driver,
        clients: [{ id: "web", kind: "browser", redirectUris: [callback] }],
        issuer: "https://shop.example.com/auth",
      });
      const to = start().replace(running.origin, behind.origin);
      const answer = await fetch(to, { redirect: "manual", headers: { "x-forwarded-proto": "http" } });
      const lines = answer.headers.getSetCookie();
      assert.ok(lines.length >= 2);
      for (const line of lines) {
        assert.match(line, /^__Secure-plinth-(interaction|resume)(\.sig)?=/);
        for (const word of ["secure", "httponly", "samesite=lax"]) assert.ok(line.split("; ").includes(word), line);
      }
      assert.match(answer.headers.get("location") ?? "", /^\/auth\/interaction\//);
      const out = await fetch(`${behind.origin}/auth/sign-out`, { headers: { accept: "text/html" } });
      const [session] = out.headers.getSetCookie();
      assert.match(session ?? "", /^__Host-plinth-session=[^;]+; path=\/;.*secure/i);
      assert.doesNotMatch(session ?? "", /domain=/i);
      await behind.stop();
    });
  });

  describe("guessing", () => {
    it("learns nothing of who has an account: the same words, the same status, no less work", async () => {
      await running.provider.users.add({ name: "gone", password: person.password });
      await running.provider.users.setDisabled("gone", true);
      const seen = new Set<string>();
      for (const [name, password] of [
        ["nobody-here", person.password],
        ["ada", "a wrong password"],
        ["gone", person.password],
        ["gone", "a wrong password"],
        ["", ""],
      ] as const) {
        const { browser, page } = await open();
        const { status, text } = await browser.submit(page, { name, password, do: "sign-in" });
        const plain = text
          .replace(/(csrf" value|action)="[^"]+"/g, "$1")
          .replace(/value="[^"]*" autocomplete="username"/, "value")
          .replaceAll(" autofocus", "");
        seen.add(`${status} ${plain}`);
      }
      assert.equal(seen.size, 1);
    });

    it("is slowed down for one account, whoever asks, also with the right password, until it has refilled", async () => {
      await forgiveAll();
      const attempt = async (name: string, password: string) => {
        const { browser, page } = await open();
        return browser.submit(page, { name, password, do: "sign-in" });
      };
      const first = await Promise.all(Array.from({ length: 14 }, () => attempt("Ada", "a wrong password")));
      const statuses = first.map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 401).length, 10, statuses.join(" "));
      assert.equal(statuses.filter((status) => status === 429).length, 4);
      const late = await attempt("ada", person.password);
      assert.equal(late.status, 429, "the right password waits too: nobody learns that it was right");
      assert.match(late.text, /too many tries/);
      const seconds = Number(late.headers.get("retry-after"));
      assert.ok(seconds >= 1 && seconds <= 30, String(seconds));
      assert.equal((await attempt("nobody-here", "x")).status, 401, "others are not in its way");
      await createDatabase({ driver, schema }).sql`
        update sign_in_limits set used_until = used_until - interval '31 s'`;
      assert.ok(isIn(await attempt("ada", person.password)));
      const after = await Promise.all(Array.from({ length: 10 }, () => attempt("ada", "a wrong password")));
      assert.ok(
        after.every(({ status }) => status === 401),
        "signing in gave the allowance back",
      );
    });

    it("cannot fill the tables: who begins without end waits", async () => {
      await forgiveAll();
      const database = createDatabase({ driver, schema });
      await fetch(start(), { redirect: "manual" });
      await database.sql`update sign_in_limits set used_until = clock_timestamp() + interval '60 s'`;
      for (const address of [start(), `${running.issuer}/sign-out`]) {
        const answer = await fetch(address, { redirect: "manual" });
        assert.equal(answer.status, 429);
        assert.ok(Number(answer.headers.get("retry-after")) >= 1);
        assert.deepEqual(answer.headers.getSetCookie(), []);
      }
      assert.equal((await fetch(`${running.issuer}/jwks`)).status, 200);
      await forgiveAll();
    });

    it("is slowed down for one address, over all accounts", async () => {
      await forgiveAll();
      const tries = await Promise.all(
        Array.from({ length: 34 }, async (_, i) => {
          const { browser, page } = await open();
          return (await browser.submit(page, { name: `user-${i}`, password: "a wrong password", do: "sign-in" }))
            .status;
        }),
      );
      assert.ok(tries.filter((status) => status === 429).length >= 2, tries.join(" "));
      await forgiveAll();
    });
  });

  describe("what somebody else wrote", () => {
    it("is text on the page, never a part of it", async () => {
      const word = `"><script>alert(1)</script>`;
      const { browser, page } = await open({ login_hint: word });
      assert.ok(page.text.includes("&#34;&#62;&#60;script&#62;"));
      const wrong = await browser.submit(page, { name: word, password: "x", do: "sign-in" });
      const error = await browser.get(start({ client_id: word }));
      const missing = await browser.get(start({ scope: word, redirect_uri: `x${word}` }));
      for (const { text } of [page, wrong, error, missing]) assert.ok(!text.includes("<script"), text);
    });

    it("cannot be loaded into, or shown inside, anything", async () => {
      const { page } = await open();
      const { headers } = page;
      const policy = headers.get("content-security-policy") ?? "";
      assert.match(
        policy,
        /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self' http:\/\/127\.0\.0\.1:47019; base-uri 'none'; frame-ancestors 'none'$/,
      );
      assert.equal(headers.get("x-frame-options"), "DENY");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("cache-control"), "no-store");
      assert.equal(headers.get("referrer-policy"), "same-origin");
    });
  });
});
