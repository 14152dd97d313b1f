import { setTimeout as sleep } from "node:timers/promises";
import { app, cache, contract, database, event, method, service, t, tokens } from "plinth";
import { leak } from "./leak.ts";

/** A small shop that uses what an app uses: tokens, a cache, transactions, events, errors, answers that take a while. */
const Item = t.Object({ id: t.String(), name: t.String(), priceCents: t.Integer() });
const Order = t.Object({
  item: t.String({ maxLength: 40 }),
  quantity: t.Integer({ minimum: 1, maximum: 9 }),
  note: t.String({ maxLength: 100_000 }),
});

const shop = contract("shop", {
  methods: {
    signIn: method({
      http: "POST /sign-in",
      request: t.Object({ name: t.String({ maxLength: 40 }) }),
      response: t.Object({ token: t.String() }),
      access: "public",
    }),
    getItem: method({
      http: "GET /items/:id",
      request: t.Object({ id: t.String({ maxLength: 40 }) }),
      response: Item,
      access: "public",
      errors: ["not_found"],
    }),
    placeOrder: method({
      http: "POST /orders",
      request: Order,
      response: t.Object({ id: t.String() }),
      access: { scope: "orders" },
    }),
    /** Fails in a way that its contract does not know. */
    breakDown: method({ http: "GET /broken", response: t.Object({}), access: "public" }),
    takeLong: method({ http: "GET /slow", response: t.Object({}), access: "public" }),
  },
  events: { Ordered: event({ key: "item", payload: t.Object({ id: t.String(), item: t.String() }) }) },
});

/** The control leaks on purpose. */
const leaks = process.argv.includes("leaking");

const books = contract("books", { methods: {} });

const shopService = service(shop, {
  needs: { db: database(), cache: cache(), tokens: tokens() },
  methods: {
    async signIn({ name }, { tokens }) {
      return tokens.issue({ subject: name, scopes: ["orders"] });
    },
    async getItem({ id }, { cache, fail }) {
      if (leaks) leak();
      if (id.startsWith("no-")) throw fail("not_found", "There is no such thing.");
      return cache.getOrLoad(id, async () => ({ id, name: `Thing ${id}`, priceCents: id.length * 100 }), {
        ttl: "20s",
        tags: [`item:${id}`],
      });
    },
    async placeOrder({ item, quantity }, { db, cache, events }) {
      const [order] = await db.transaction(async (tx) => {
        const rows = await tx.sql<{ id: string }>`
          insert into orders (item, quantity) values (${item}, ${quantity}) returning id::text as id`;
        await events.publish(shop.Ordered, { id: rows[0]?.id ?? "", item }, { in: tx });
        await cache.invalidate(`item:${item}`, { in: tx });
        return rows;
      });
      return { id: order?.id ?? "" };
    },
    async breakDown() {
      throw new Error("this is no error of the contract");
    },
    async takeLong(_request, { signal }) {
      await sleep(300, undefined, { signal });
      return {};
    },
  },
});

const booksService = service(books, {
  needs: { db: database() },
  methods: {},
  subscriptions: {
    enter: {
      event: shop.Ordered,
      async handle({ id, item }, { tx }) {
        await tx.sql`insert into entries (id, item) values (${id}, ${item})`;
      },
    },
  },
});

export const definition = app({
  name: "soak",
  services: [shopService, booksService],
  gateway: { cors: { origins: ["https://shop.example"] } },
});

export const tables = {
  "shop.orders": "(id bigint generated always as identity primary key, item text not null, quantity integer not null)",
  "books.entries": "(id bigint primary key, item text not null)",
};
