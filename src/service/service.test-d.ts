/** What must not compile. Checked by the type checker alone; never run. */
import { t } from "../schema/index.ts";
import type { Client } from "./index.ts";
import { contract, database, event, method, resource, service, setting, stream } from "./index.ts";

const pricing = contract("pricing", {
  methods: {
    quote: method({ request: t.Object({ productId: t.String() }), response: t.Object({ cents: t.Integer() }) }),
    ping: method({}),
    ticks: stream({ request: t.Object({ count: t.Integer() }), item: t.Object({ n: t.Integer() }) }),
  },
});

const stock = contract("stock", {
  methods: { reserve: method({ request: t.Object({ sku: t.String() }), response: t.Object({ left: t.Integer() }) }) },
});

const catalog = contract("catalog", {
  methods: {
    getProduct: method({
      request: t.Object({ id: t.String() }),
      response: t.Object({ name: t.String() }),
      errors: ["not_found"],
    }),
    setPrice: method({
      request: t.Object({ id: t.String(), cents: t.Integer() }),
      errors: { PRICE_FROZEN: "failed_precondition" },
    }),
  },
  events: { PriceChanged: event({ key: "id", payload: t.Object({ id: t.String(), cents: t.Integer() }) }) },
});

// Everything right compiles.
service(catalog, {
  needs: { db: database(), pricing, label: setting("LABEL", { default: "x" }) },
  methods: {
    async getProduct({ id }, { pricing, label, fail, principal }) {
      const { cents } = await pricing.quote({ productId: id });
      if (cents < 0) throw fail("not_found", `no ${id} for ${principal.subject}`);
      for await (const { n } of pricing.ticks({ count: 2 })) n.toFixed();
      return { name: label.toUpperCase() + cents.toFixed() };
    },
    async setPrice({ id, cents }, { db, events, fail }) {
      if (cents === 0) fail("PRICE_FROZEN", "never free");
      await db.transaction(async (tx) => {
        await events.publish(catalog.PriceChanged, { id, cents }, { in: tx });
      });
    },
  },
  subscriptions: {
    onPrice: {
      event: catalog.PriceChanged,
      async handle({ cents }, { tx, eventId }) {
        await tx.sql`select ${cents.toFixed()} ${eventId.length}`;
      },
    },
  },
});

// A wrong request field.
service(catalog, {
  needs: { pricing },
  methods: {
    async getProduct({ id }, { pricing }) {
      // @ts-expect-error the request of quote has no field "product"
      await pricing.quote({ product: id });
      // @ts-expect-error a field is missing
      await pricing.quote({});
      // @ts-expect-error ping takes nothing
      await pricing.ping({ id });
      return { name: "" };
    },
    async setPrice() {},
  },
});

// A missing handler.
service(catalog, {
  // @ts-expect-error setPrice has no handler
  methods: {
    async getProduct() {
      return { name: "" };
    },
  },
});

// A handler that answers the wrong thing.
service(catalog, {
  methods: {
    // @ts-expect-error the answer has no field "title"
    async getProduct() {
      return { title: "" };
    },
    async setPrice() {},
  },
});

// A call to a contract that `needs` does not name.
service(catalog, {
  needs: { pricing },
  methods: {
    // @ts-expect-error stock is not among the needs
    async getProduct({ id }, { stock }) {
      return { name: (await stock.reserve({ sku: id })).left.toFixed() };
    },
    async setPrice() {},
  },
});

// An undeclared error.
service(catalog, {
  methods: {
    async getProduct({ id }, { fail }) {
      // @ts-expect-error getProduct declares not_found only
      throw fail("already_exists", id);
    },
    async setPrice({ id }, { fail }) {
      // @ts-expect-error setPrice declares PRICE_FROZEN only
      throw fail("not_found", id);
    },
  },
});

// An event with a wrong payload, of another contract, or outside a transaction.
const other = contract("other", {
  methods: {},
  events: { Happened: event({ key: "id", payload: t.Object({ id: t.String() }) }) },
});
service(catalog, {
  needs: { db: database() },
  methods: {
    async getProduct() {
      return { name: "" };
    },
    async setPrice({ id }, { db, events }) {
      await db.transaction(async (tx) => {
        // @ts-expect-error cents is a number
        await events.publish(catalog.PriceChanged, { id, cents: "12" }, { in: tx });
        // @ts-expect-error an event of another contract
        await events.publish(other.Happened, { id }, { in: tx });
        // @ts-expect-error no transaction
        await events.publish(catalog.PriceChanged, { id, cents: 12 });
      });
    },
  },
});

// An event whose key is no field of its payload; an error code that does not exist.
// @ts-expect-error "sku" is no field
event({ key: "sku", payload: t.Object({ id: t.String() }) });
// @ts-expect-error "gone" is no code
method({ errors: ["gone"] });
// @ts-expect-error no route begins with FETCH
method({ http: "FETCH /x" });

// A client is what its contract says.
declare const client: Client<typeof stock>;
const left: Promise<{ left: number }> = client.reserve({ sku: "a" }, { deadline: "1s", idempotencyKey: "k" });
void left;
// @ts-expect-error no such method
void client.release;

// Rules about objects: `can` and the handler see what the service finds.
const bid = resource<{ owner: string }>()("bid");
const bids = contract("bids", {
  methods: {
    show: method({
      request: t.Object({ id: t.String() }),
      access: {
        scope: "bids:read",
        resource: bid,
        can: (who, { id }, { owner }) => id !== "" && owner === who.subject,
      },
    }),
    place: method({
      request: t.Object({ cents: t.Integer() }),
      access: { can: (who, { cents }, nothing) => cents > 0 && who.subject !== "" && nothing === undefined },
    }),
    watch: stream({
      request: t.Object({ id: t.String() }),
      item: t.Object({ n: t.Integer() }),
      access: { resource: bid, can: (who, _, { owner }) => owner === who.subject },
    }),
    wrong: method({
      request: t.Object({ id: t.String() }),
      access: {
        resource: bid,
        can: (_who, _request, found) =>
          // @ts-expect-error: what is found has no such field.
          found.nobody === 1,
      },
    }),
  },
});

service(bids, {
  needs: { db: database() },
  resources: { bid: ({ id }, { db }) => (id === "" ? undefined : { owner: db.schema }) },
  methods: {
    async show(_, { resource }) {
      resource.owner.toUpperCase();
    },
    // @ts-expect-error: a method without a resource has none in its context.
    async place(_, { resource }) {
      void resource;
    },
    async *watch(_, { resource }) {
      yield { n: resource.owner.length };
    },
    async wrong() {},
  },
});

// `once` is there for methods that take keys, of services with a database, and nowhere else.
const till = contract("till", {
  methods: {
    pay: method({
      request: t.Object({ cents: t.Integer() }),
      response: t.Object({ id: t.String() }),
      idempotent: "keyed",
    }),
    refund: method({ response: t.Object({ id: t.String() }), idempotent: { key: "required", keep: "7d" } }),
    look: method({ response: t.Object({ id: t.String() }), idempotent: true }),
  },
});

service(till, {
  needs: { db: database<{ payments: { id: string } }>() },
  methods: {
    pay: ({ cents }, { once }) =>
      once(async (tx) => {
        await tx.query.insertInto("payments").values({ id: cents.toFixed() }).execute();
        return { id: "1" };
      }),
    // @ts-expect-error what it answers is what repeats will get
    refund: (_request, { once }) => once(async () => ({ other: 1 })),
    // @ts-expect-error it takes no keys
    look: (_request, { once }) => once(async () => ({ id: "1" })),
  },
});

service(till, {
  needs: { db: database({ migrations: new URL("file:///x"), shardBy: { payments: "id" } }) },
  methods: {
    pay: (_request, { once }) => once(async () => ({ id: "1" }), { at: "1" }),
    // @ts-expect-error in a sharded service the answer lies at a key
    refund: (_request, { once }) => once(async () => ({ id: "1" })),
    look: async () => ({ id: "1" }),
  },
});

service(till, {
  methods: {
    // @ts-expect-error there is no database to remember in
    pay: (_request, { once }) => once(async () => ({ id: "1" })),
    refund: async () => ({ id: "1" }),
    look: async () => ({ id: "1" }),
  },
});
