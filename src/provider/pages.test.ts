import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { DatabaseDriver } from "../database/index.ts";
import { chromiumMissing, launchChromium } from "./chromium.fixture.ts";
import type { RunningProvider } from "./running.fixture.ts";
import { challenge, engines, startProvider } from "./running.fixture.ts";

/** For a look at the pages: set to a folder, each is kept there as an image. */
const shots = process.env.PLINTH_TEST_SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const person = { name: "ada", password: "an engine of brass", displayName: "Ada" };

describe("the pages in a browser", { skip: chromiumMissing }, () => {
  let driver: DatabaseDriver;
  let running: RunningProvider;
  let browser: Browser;
  /** Where people come back to. */
  let application: Server;
  let callback: string;

  before(async () => {
    application = createServer((_req, res) => void res.end("You are back."));
    application.listen(0, "127.0.0.1");
    await once(application, "listening");
    callback = `http://127.0.0.1:${(application.address() as AddressInfo).port}/callback`;
    driver = engines.embedded.open();
    await driver.open();
    running = await startProvider({
      driver,
      scopes: { "orders:read": { description: "See your orders", everyone: true } },
      clients: [
        { id: "web", kind: "browser", name: "Web shop", redirectUris: [callback], signOutUris: [callback] },
        { id: "partner", kind: "browser", name: "Partner & <b>Sons</b>", redirectUris: [callback], thirdParty: true },
      ],
    });
    await running.provider.users.add(person);
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    await running?.stop();
    await driver.close();
    application.closeAllConnections();
    application.close();
  });

  type ContextOptions = NonNullable<Parameters<Browser["newContext"]>[0]>;

  const open = async ({
    id = "web",
    scope = "openid orders:read",
    ...options
  }: ContextOptions & { id?: string; scope?: string } = {}) => {
    const context = await browser.newContext({ javaScriptEnabled: false, ...options });
    context.setDefaultTimeout(5_000);
    const page = await context.newPage();
    const query = { client_id: id, response_type: "code", redirect_uri: callback, scope, state: "here", ...challenge };
    await page.goto(`${running.issuer}/authorize?${new URLSearchParams(query)}`);
    return page;
  };
  const signIn = async (page: Page, password: string) => {
    await page.getByLabel("User name").fill(person.name);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  const shoot = async (page: Page, name: string) => {
    if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
  };
  const isBack = async (page: Page) => {
    await page.waitForURL((url) => url.href.startsWith(callback));
    assert.match(page.url().slice(callback.length), /^\?code=[\w-]+&state=here&iss=/);
  };

  it("let somebody sign in without a script, by the keyboard alone", async () => {
    const page = await open();
    assert.equal(await page.title(), "Sign in - Tests");
    await shoot(page, "sign-in");
    // The cursor stands in the first field.
    await page.keyboard.type(person.name);
    await page.keyboard.press("Tab");
    await page.keyboard.type(person.password);
    await page.keyboard.press("Enter");
    await isBack(page);
    await page.context().close();
  });

  it("say what was wrong so that it is heard, keep the name and forget the password", async () => {
    const page = await open();
    await signIn(page, "wrong password");
    assert.equal(await page.title(), "Error: Sign in - Tests");
    assert.equal(await page.getByRole("alert").textContent(), "The user name or the password is wrong.");
    assert.equal(await page.getByLabel("User name").inputValue(), person.name);
    assert.equal(await page.getByLabel("Password").inputValue(), "");
    const about = await page.getByLabel("Password").getAttribute("aria-describedby");
    assert.equal(await page.locator(`#${about}`).getAttribute("role"), "alert");
    await shoot(page, "sign-in-wrong");
    await page.keyboard.type(person.password);
    await page.keyboard.press("Enter");
    await isBack(page);
    await page.context().close();
  });

  it("ask before a program of others may act, whose name is text and nothing else", async () => {
    const page = await open({ id: "partner", scope: "openid profile orders:read" });
    await signIn(page, person.password);
    assert.equal(await page.getByRole("heading").textContent(), "Allow Partner & <b>Sons</b>?");
    assert.deepEqual(await page.getByRole("listitem").allTextContents(), ["See your name", "See your orders"]);
    await shoot(page, "consent");
    await page.getByRole("button", { name: "Allow" }).click();
    await isBack(page);
    await page.context().close();
  });

  it("take a person back who says no", async () => {
    const page = await open({ id: "partner" });
    await page.getByRole("button", { name: "Cancel" }).click();
    const { searchParams } = new URL(page.url());
    assert.equal(searchParams.get("error"), "access_denied");
    assert.equal(searchParams.get("state"), "here");
    await page.context().close();
  });

  it("sign out when asked, and then ask for the password again", async () => {
    const page = await open();
    await signIn(page, person.password);
    const start = `${running.issuer}/sign-out?${new URLSearchParams({ client_id: "web", post_logout_redirect_uri: callback })}`;
    await page.goto(start);
    await shoot(page, "sign-out");
    await page.getByRole("button", { name: "Sign out" }).click();
    assert.equal(page.url(), callback);
    await page.goto(start.split("?")[0] as string);
    await page.getByRole("button", { name: "Continue" }).click();
    assert.equal(await page.getByRole("heading").textContent(), "You are signed out");
    await page.context().close();
  });

  it("go on by themselves where there are scripts, and a code may come back in a form", async () => {
    const page = await open({ javaScriptEnabled: true });
    await page.goto(`${running.issuer}/sign-out`);
    await page.waitForURL(`${running.issuer}/sign-out/success`);
    const query = { client_id: "web", response_type: "code", redirect_uri: callback, scope: "openid", ...challenge };
    await page.goto(`${running.issuer}/authorize?${new URLSearchParams({ ...query, response_mode: "form_post" })}`);
    await signIn(page, person.password);
    await page.waitForURL(callback);
    assert.equal(await page.locator("body").textContent(), "You are back.");
    await page.context().close();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    it(`have no fault that axe-core knows, in ${colorScheme} colours and on a phone`, async () => {
      const options = { colorScheme, viewport: { width: 390, height: 780 }, javaScriptEnabled: true, bypassCSP: true };
      const page = await open({ id: "partner", ...options });
      const check = async (name: string) => {
        await page.evaluate(axe);
        const { violations } = (await page.evaluate("axe.run()")) as {
          violations: { id: string; nodes: { html: string }[] }[];
        };
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
        assert.deepEqual(found, [], name);
        const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
        assert.equal(wide, false, `${name} is wider than the screen`);
        await shoot(page, `${name}-${colorScheme}`);
      };
      await check("sign-in");
      await signIn(page, "wrong password");
      await check("sign-in-wrong");
      await signIn(page, person.password);
      await check("consent");
      await page.getByRole("button", { name: "Allow" }).click();
      await page.goto(`${running.issuer}/sign-out`);
      await check("sign-out");
      await page.goto(`${running.issuer}/authorize?client_id=nobody`);
      await check("error");
      await page.goto(`${running.issuer}/interaction/nothing`);
      await check("expired");
      await page.context().close();
    });
  }
});
