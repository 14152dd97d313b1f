import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { CrashOptions } from "./crash.fixture.ts";
import { ask, refuse, take } from "./http.fixture.ts";
import { mailsAbout } from "./mail.fixture.ts";
import { newDatabase, skipWithoutPostgres, type TestDatabase } from "./postgres.fixture.ts";
import { startFixture } from "./process.fixture.ts";
import { card, shipTo } from "./purchase.fixture.ts";
import { newFolder, startShop, type TestShop } from "./shop.fixture.ts";
import { until } from "./waiting.fixture.ts";

/** Where the shop keeps its data. */
interface Home {
  readonly folder: string;
  readonly databaseUrl: string;
  /** Another with the same in it. Nobody may have this one open. */
  copy(): Promise<Home>;
  remove(): Promise<void>;
}

function directoryHome(folder: string): Home {
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

function postgresHome(folder: string, database: TestDatabase): Home {
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

const engines: readonly { name: string; skip: string | false; newHome(): Promise<Home> }[] = [
  {
    name: "the embedded database in a directory",
    skip: false,
    newHome: async () => directoryHome(await newFolder()),
  },
  {
    name: "Postgres",
    skip: skipWithoutPostgres,
    newHome: async () => postgresHome(await newFolder(), await newDatabase()),
  },
];

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

const breaks = [
  { name: "between the reservation and the charge: gives the stock back", dieAfter: "reserve", charged: null },
  { name: "between the charge and the order: gives charge and stock back", dieAfter: "charge", charged: paid },
] as const;

for (const { name, skip, newHome } of engines) {
  const title = `the shop, killed during a checkout on ${name},`;
  if (skip) it(title, { skip }, () => {});
  else describe(title, { concurrency: 2 }, () => killThere(newHome));
}

function killThere(newHome: () => Promise<Home>): void {
  let original: Home;
  let token = "";
  before(async () => {
    original = await newHome();
    token = await moveIn(original);
  });
  after(() => original.remove());

  const inCopy = (run: (home: Home) => Promise<void>) => async () => {
    const home = await original.copy();
    try {
      await run(home);
    } finally {
      await home.remove();
    }
  };

  it(
    "between commit and publish: sends the mail once, and tells the order to whoever asks again",
    inCopy(async (home) => {
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
    }),
  );

  it(
    "between effect and acknowledgement: sends the mail once",
    inCopy(async (home) => {
      await crash(home, token, { at: "inbox.committed", onlyMail: true });
      await recover(home, async (shop) => {
        await shop.quiet();
        const { id, status } = await orderIn(shop);
        assert.equal(status, "placed");
        assert.equal((await mailsAbout(id, shop.mailFolder)).order.length, 1);
      });
    }),
  );

  it(
    "between effect and acknowledgement, with the inbox off: sends the mail twice, which is what the inbox is for",
    inCopy(async (home) => {
      await crash(home, token, { at: "inbox.committed", onlyMail: true, inbox: false });
      const look = async (shop: TestShop) => {
        await shop.quiet();
        const { id } = await orderIn(shop);
        assert.equal((await mailsAbout(id, shop.mailFolder)).order.length, 2);
      };
      await recover(home, look, { inbox: false });
    }),
  );

  for (const { name, dieAfter, charged } of breaks) {
    it(
      name,
      inCopy(async (home) => {
        await crash(home, token, { dieAfter });
        await recover(home, async (shop) => {
          assert.equal(await keptIn(shop), 2, "what the dead process has reserved");
          await until("the clean-up", async () => {
            // It may have been put off once more, just before it died.
            await shop.passSeconds(60);
            return (await orderIn(shop)).status === "failed";
          });
          const charges = await shop.run("select amount, refunded_at is not null as refunded from payment.charges");
          assert.deepEqual(charges, [{ amount: charged, refunded: true }]);
          assert.equal(await keptIn(shop), 0);
          await refuse(shop.url, "POST /orders", { token, ...order, status: 409, reason: "ORDER_FAILED" });
          assert.equal((await take(shop.url, "GET /cart", { token })).items.length, 1);
        });
      }),
    );
  }
}
