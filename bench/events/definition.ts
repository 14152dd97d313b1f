import { app, contract, database, event, method, service, t } from "plinth";
import { drive } from "../call/drive.ts";
import { createFlow } from "./pace.ts";

const Run = t.Object({ seconds: t.Number(), inFlight: t.Integer() });
const Driven = t.Object({ calls: t.Integer(), seconds: t.Number(), p50Ms: t.Number(), p99Ms: t.Number() });
const keyCount = 1000;

export const shop = contract("shop", {
  methods: {
    insert: method({ request: Run, response: Driven }),
    sell: method({ request: Run, response: Driven }),
  },
  events: { Sold: event({ key: "customer", payload: t.Object({ customer: t.String(), n: t.Integer() }) }) },
});

const books = contract("books", { methods: {} });

const flow = createFlow();
let next = 0;

const shopService = service(shop, {
  needs: {
    db: database(),
  },
  methods: {
    insert: ({ seconds, inFlight }, { db }) =>
      drive(
        () =>
          db.transaction(async (tx) => void (await tx.sql`insert into orders values (${next}, ${customerOf(next++)})`)),
        seconds,
        inFlight,
      ),
    sell: ({ seconds, inFlight }, { db, events }) =>
      flow.run(
        async () => {
          const n = next++;
          flow.begin(n);
          await db.transaction(async (tx) => {
            await tx.sql`insert into orders values (${n}, ${customerOf(n)})`;
            await events.publish(shop.Sold, { customer: customerOf(n), n }, { in: tx });
          });
        },
        seconds,
        inFlight,
      ),
  },
});

const booksService = service(books, {
  needs: {
    db: database(),
  },
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

function customerOf(n: number): string {
  return `customer ${n % keyCount}`;
}
