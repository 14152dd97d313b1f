import { app, cache, contract, type Database, database, type Events, event, method, service, t } from "plinth";
import { drive } from "../call/drive.ts";
import { accountsTable, createAccounts, customerOf, ordersTable, productCount, productOf } from "./orders.ts";
import { createFlow } from "./pace.ts";

const Run = t.Object({ seconds: t.Number(), inFlight: t.Integer() });
const Driven = t.Object({ calls: t.Integer(), seconds: t.Number(), p50Ms: t.Number(), p99Ms: t.Number() });
const run = method({ request: Run, response: Driven });

export const shop = contract("shop", {
  methods: {
    insert: run,
    change: run,
    sell: run,
    sellAt: method({ request: t.Object({ seconds: t.Number(), rate: t.Integer() }), response: Driven }),
    undo: method({ response: t.Object({ n: t.Integer() }) }),
  },
  events: { Sold: event({ key: "customer", payload: t.Object({ customer: t.String(), n: t.Integer() }) }) },
});

const books = contract("books", { methods: {} });

const flow = createFlow();
const accountOf = createAccounts();
let next = 0;
export const tables = { "shop.orders": ordersTable, "shop.accounts": accountsTable, "books.entries": ordersTable };

const shopService = service(shop, {
  needs: { db: database() },
  methods: {
    insert: ({ seconds, inFlight }, { db }) =>
      drive(
        () => {
          const n = next++;
          return db.transaction(async (tx) => void (await tx.sql`insert into orders values (${n}, ${customerOf(n)})`));
        },
        seconds,
        inFlight,
      ),
    change: ({ seconds, inFlight }, { db }) =>
      drive(
        () => {
          const id = accountOf();
          return db.transaction(async (tx) => {
            const [account] = await tx.sql<{ balance: number }>`
              select balance from accounts where id = ${id} for update`;
            await tx.sql`update accounts set balance = ${(account?.balance ?? Number.NaN) + 1} where id = ${id}`;
          });
        },
        seconds,
        inFlight,
      ),
    sell: ({ seconds, inFlight }, context) => flow.run((n) => sell(n, context), seconds, inFlight),
    sellAt: ({ seconds, rate }, context) => flow.runAt(rate, (n) => sell(n, context), seconds),
    /** Sells something and takes it back: nobody may hear of it. */
    async undo(_request, { db, events }) {
      const n = -1;
      const undone = new Error("undone");
      const selling = db.transaction(async (tx) => {
        await tx.sql`insert into orders values (${n}, ${customerOf(1)})`;
        await events.publish(shop.Sold, { customer: customerOf(1), n }, { in: tx });
        throw undone;
      });
      await selling.catch((thrown) => {
        if (thrown !== undone) throw thrown;
      });
      return { n };
    },
  },
});

interface Selling {
  readonly db: Database;
  readonly events: Events<typeof shop>;
}

async function sell(n: number, { db, events }: Selling): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.sql`insert into orders values (${n}, ${customerOf(n)})`;
    await events.publish(shop.Sold, { customer: customerOf(n), n }, { in: tx });
  });
}

const booksService = service(books, {
  needs: { db: database() },
  methods: {},
  subscriptions: {
    enter: {
      event: shop.Sold,
      concurrency: 32,
      async handle({ n, customer }, { tx }) {
        await tx.sql`insert into entries values (${n}, ${customer})`;
        tx.afterCommit(() => flow.end(n));
      },
    },
  },
});

export const definition = app({ name: "bench", services: [shopService, booksService] });

export const catalog = contract("catalog", {
  methods: { fill: method({ response: t.Object({}) }), read: run },
});

let product = 0;

const catalogService = service(catalog, {
  needs: { cache: cache() },
  methods: {
    async fill(_request, { cache }) {
      for (let n = 0; n < productCount; n++) await cache.set(`product:${n}`, productOf(n), { ttl: "1h" });
      return {};
    },
    read: ({ seconds, inFlight }, { cache }) =>
      drive(
        async () => {
          product = (product + 1) % productCount;
          const found = await cache.get<{ id: string }>(`product:${product}`);
          if (found === undefined) throw new Error("the cache has lost something");
        },
        seconds,
        inFlight,
      ),
  },
});

export const reading = app({ name: "bench-reading", services: [catalogService] });
