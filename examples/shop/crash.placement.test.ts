import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { CrashOptions } from "./crash.fixture.ts";
import { ask, take } from "./http.fixture.ts";
import { mailsAbout, until } from "./mail.fixture.ts";
import { newDatabase, skipWithoutPostgres } from "./postgres.fixture.ts";
import { startFixture } from "./process.fixture.ts";
import { card, shipTo } from "./purchase.fixture.ts";
import { newFolder, startShop, type TestShop } from "./shop.fixture.ts";

/** Where the shop keeps its data, for one test. */
interface Home {
  readonly folder: string;
  readonly databaseUrl: string;
  remove(): Promise<void>;
}

const engines: readonly { name: string; skip: string | false; newHome(): Promise<Home> }[] = [
  {
    name: "the embedded database in a directory",
    skip: false,
    async newHome() {
      const folder = await newFolder();
      const remove = () => rm(folder, { recursive: true, force: true });
      return { folder, databaseUrl: `pglite:${join(folder, "database")}`, remove };
    },
  },
  {
    name: "Postgres",
    skip: skipWithoutPostgres,
    async newHome() {
      const [folder, database] = await Promise.all([newFolder(), newDatabase()]);
      const remove = async () => void (await Promise.all([rm(folder, { recursive: true }), database.drop()]));
      return { folder, databaseUrl: database.url, remove };
    },
  },
];

interface Crash {
  readonly home: Home;
  readonly token: string;
  /** Sends the same order to a shop that is up again. */
  buyAgain(url: string): Promise<{ status: number; body: { id?: string; reason?: string } }>;
}

const order = { body: { card, shipTo }, headers: { "idempotency-key": "crash" } };

/** Signs up, fills the cart and checks out in a process that is killed on the way. */
async function crash(home: Home, options: Omit<CrashOptions, "folder" | "databaseUrl">, point = ""): Promise<Crash> {
  const { folder, databaseUrl } = home;
  const argument: CrashOptions = { folder, databaseUrl, ...options };
  const environment = { PLINTH_CRASH_POINT: point };
  const program = startFixture("./crash.fixture.ts", argument, { folder, environment });
  try {
    const [, url = ""] = await program.says(/listens on (\S+)/);
    const body = { email: "ada@example.com", password: "an engine of brass", name: "Ada" };
    const { token } = await take(url, "POST /accounts", { status: 201, body });
    await take(url, "PUT /cart/items/candle", { token, body: { quantity: 2 } });
    // Whether an answer still comes depends on where it dies.
    await ask(url, "POST /orders", { token, ...order }).catch(() => undefined);
    assert.equal(await program.ended, "SIGKILL", program.output());
    return { home, token, buyAgain: (again) => ask(again, "POST /orders", { token, ...order }) };
  } finally {
    await program.stop();
  }
}

/** Starts the shop again where it was killed; leases of the dead process are made to run out. */
async function recover({ home }: Crash, look: (shop: TestShop) => Promise<void>, inbox = true): Promise<void> {
  const shop = await startShop({ folder: home.folder, databaseUrl: home.databaseUrl, inbox });
  try {
    await shop.passSeconds(60);
    await look(shop);
  } finally {
    await shop.stop();
  }
}

async function ordersOf(shop: TestShop): Promise<readonly { id: string; status: string }[]> {
  return (await shop.run("select id, status from checkout.orders")) as { id: string; status: string }[];
}

for (const { name, skip, newHome } of engines) {
  describe(`the shop, killed during a checkout on ${name},`, { skip, concurrency: 2 }, () => {
    const inHome = (run: (home: Home) => Promise<void>) => async () => {
      const home = await newHome();
      try {
        await run(home);
      } finally {
        await home.remove();
      }
    };

    it(
      "between commit and publish: sends the mail once, and tells the order to whoever asks again",
      inHome(async (home) => {
        // The second passage: the first is that of OrderStarted.
        const crashed = await crash(home, {}, "outbox.committed:2");
        await recover(crashed, async (shop) => {
          const { status, body } = await crashed.buyAgain(shop.url);
          assert.equal(status, 201, JSON.stringify(body));
          await shop.quiet();
          assert.equal((await mailsAbout(body.id ?? "", shop.mailFolder)).length, 1);
          assert.deepEqual((await take(shop.url, "GET /cart", { token: crashed.token })).items, []);
          assert.equal((await ordersOf(shop)).length, 1);
        });
      }),
    );

    it(
      "between effect and acknowledgement: sends the mail once",
      inHome(async (home) => {
        const crashed = await crash(home, { onlyMail: true }, "inbox.committed");
        await recover(crashed, async (shop) => {
          await shop.quiet();
          const [placed] = await ordersOf(shop);
          assert.equal(placed?.status, "placed");
          assert.equal((await mailsAbout(placed.id, shop.mailFolder)).length, 1);
        });
      }),
    );

    it(
      "between effect and acknowledgement, with the inbox off: sends the mail twice, which is what the inbox is for",
      inHome(async (home) => {
        const crashed = await crash(home, { onlyMail: true, inbox: false }, "inbox.committed");
        const look = async (shop: TestShop) => {
          await shop.quiet();
          const [placed] = await ordersOf(shop);
          assert.equal((await mailsAbout(placed?.id ?? "", shop.mailFolder)).length, 2);
        };
        await recover(crashed, look, false);
      }),
    );

    it(
      "between the charge and the order: gives the charge back",
      inHome(async (home) => {
        const crashed = await crash(home, { dieAfterCharge: true });
        await recover(crashed, async (shop) => {
          await until("the clean-up", async () => {
            await shop.passSeconds(60);
            return (await ordersOf(shop))[0]?.status === "failed";
          });
          const charges = await shop.run("select amount, refunded_at is not null as refunded from payment.charges");
          assert.deepEqual(charges, [{ amount: 3980, refunded: true }]);
          const { status, body } = await crashed.buyAgain(shop.url);
          assert.deepEqual([status, body.reason], [409, "ORDER_FAILED"]);
          assert.equal((await take(shop.url, "GET /cart", { token: crashed.token })).items.length, 1);
        });
      }),
    );
  });
}
