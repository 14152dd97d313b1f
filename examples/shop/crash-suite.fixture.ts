import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import type { CrashOptions } from "./crash.fixture.ts";
import { ask, refuse, take } from "./http.fixture.ts";
import { mailsAbout } from "./mail.fixture.ts";
import { newDatabase, type TestDatabase } from "./postgres.fixture.ts";
import { startFixture } from "./process.fixture.ts";
import { card, shipTo } from "./purchase.fixture.ts";
import { newFolder, startShop, type TestShop } from "./shop.fixture.ts";
import { until } from "./waiting.fixture.ts";

/**
 * The shop is killed during a checkout, and started again: the same claims on every engine. Starting it is what costs, so
 * customers move in once, each crash is one process, and what is left of one may be looked at twice.
 */

/** Where the shop keeps its data. */
export interface Home {
  readonly folder: string;
  readonly databaseUrl: string;
  /** Another with the same in it. Nobody may have this one open. */
  copy(): Promise<Home>;
  remove(): Promise<void>;
}

export function directoryHome(folder: string): Home {
  return {
    folder,
    databaseUrl: `pglite:${join(folder, "database")}`,
    async copy() {
      const other = await newFolder();
      await cp(folder, other, { recursive: true });
      return directoryHome(other);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

export function postgresHome(folder: string, database: TestDatabase): Home {
  return {
    folder,
    databaseUrl: database.url,
    async copy() {
      const other = await newFolder();
      await cp(folder, other, { recursive: true });
      return postgresHome(other, await newDatabase(database));
    },
    async remove() {
      await rm(folder, { recursive: true, force: true });
      await database.drop();
    },
  };
}

const order = { body: { card, shipTo }, headers: { "idempotency-key": "crash" } };

/** A customer signs up and fills the cart. Answers her token, which is good wherever this home is copied to. */
async function moveIn(home: Home): Promise<string> {
  const shop = await startShop(home);
  try {
    const body = { email: "ada@example.com", password: "an engine of brass", name: "Ada" };
    const { token } = await take(shop.url, "POST /accounts", { status: 201, body });
    await take(shop.url, "PUT /cart/items/candle", { token, body: { quantity: 2 } });
    return token;
  } finally {
    await shop.stop();
  }
}

/** Checks out in a process that is killed on the way. */
async function crash(
  { folder, databaseUrl }: Home,
  token: string,
  { at = "", ...options }: Omit<CrashOptions, "folder" | "databaseUrl"> & { readonly at?: string },
): Promise<void> {
  const argument: CrashOptions = { folder, databaseUrl, ...options };
  const program = startFixture("./crash.fixture.ts", argument, { folder, environment: { PLINTH_CRASH_POINT: at } });
  try {
    const [, url = ""] = await program.says(/listens on (\S+)/);
    // Whether an answer still comes depends on where it dies.
    await ask(url, "POST /orders", { token, ...order }).catch(() => undefined);
    assert.equal(await program.ended, "SIGKILL", program.output());
  } finally {
    await program.stop();
  }
}

/** Starts the shop again where it was killed; leases of the dead process are made to run out. */
async function recover(home: Home, look: (shop: TestShop) => Promise<void>, { inbox = true } = {}): Promise<void> {
  const shop = await startShop({ ...home, inbox });
  try {
    await shop.forgetTheDead();
    await shop.passSeconds(60);
    await look(shop);
  } finally {
    await shop.stop();
  }
}

async function orderIn(shop: TestShop): Promise<{ id: string; status: string }> {
  const rows = await shop.run("select id, status from checkout.orders");
  assert.equal(rows.length, 1);
  return rows[0] as { id: string; status: string };
}

/** How many candles are kept for orders. */
async function keptIn(shop: TestShop): Promise<unknown> {
  const [row] = await shop.run("select reserved from inventory.stock where product_id = 'candle'");
  return row?.reserved;
}

/** Two candles, and the delivery of three kilograms to Great Britain. */
const paid = 2 * 1990 + 1090;

/** The tests of one engine, for inside a `describe`. */
export function killThere(newHome: () => Promise<Home>): void {
  let original: Home;
  let token = "";
  before(async () => {
    original = await newHome();
    token = await moveIn(original);
  });
  after(() => original.remove());

  const inCopyOf = async (home: Home, run: (copy: Home) => Promise<void>) => {
    const copy = await home.copy();
    try {
      await run(copy);
    } finally {
      await copy.remove();
    }
  };

  it("between commit and publish: sends the mail once, and tells the order to whoever asks again", () =>
    inCopyOf(original, async (home) => {
      // The fourth passage, after those of OrderStarted, StockReserved and PaymentCaptured.
      await crash(home, token, { at: "outbox.committed:4" });
      await recover(home, async (shop) => {
        const again = await take(shop.url, "POST /orders", { token, ...order, status: 201 });
        await shop.quiet();
        assert.deepEqual(await orderIn(shop), { id: again.id, status: "placed" });
        const mails = await mailsAbout(again.id, shop.mailFolder);
        assert.deepEqual([mails.order.length, mails.shipping.length], [1, 1]);
        assert.deepEqual((await take(shop.url, "GET /cart", { token })).items, []);
      });
    }));

  it("between effect and acknowledgement: sends the mail once, and twice with the inbox off, which is what it is for", () =>
    inCopyOf(original, async (home) => {
      await crash(home, token, { at: "inbox.committed", onlyMail: true });
      const look = (mailCount: number) => async (shop: TestShop) => {
        await shop.quiet();
        const { id, status } = await orderIn(shop);
        assert.equal(status, "placed");
        assert.equal((await mailsAbout(id, shop.mailFolder)).order.length, mailCount);
      };
      await inCopyOf(home, (copy) => recover(copy, look(2), { inbox: false }));
      await recover(home, look(1));
    }));

  it("between the charge and the order: gives charge and stock back", () =>
    inCopyOf(original, async (home) => {
      await crash(home, token, { dieAfterCharge: true });
      await recover(home, async (shop) => {
        assert.equal(await keptIn(shop), 2, "what the dead process has reserved");
        await until("the clean-up", async () => {
          // It may have been put off once more, just before it died.
          await shop.passSeconds(60);
          return (await orderIn(shop)).status === "failed";
        });
        const charges = await shop.run("select amount, refunded_at is not null as refunded from payment.charges");
        assert.deepEqual(charges, [{ amount: paid, refunded: true }]);
        assert.equal(await keptIn(shop), 0);
        await refuse(shop.url, "POST /orders", { token, ...order, status: 409, reason: "ORDER_FAILED" });
        assert.equal((await take(shop.url, "GET /cart", { token })).items.length, 1);
      });
    }));
}
