/** An app with one of everything, for the tests of what runs apps. */
import { t } from "../schema/index.ts";
import {
  cache,
  contract,
  database,
  event,
  method,
  raw,
  secret,
  service,
  setting,
  stream,
  tokens,
} from "../service/index.ts";
import type { App } from "./app.ts";
import { app } from "./app.ts";

export const Item = t.Object({ id: t.String(), label: t.String() });

export const store = contract("store", {
  methods: {
    put: method({ request: Item, idempotent: true, access: "public" }),
    get: method({ request: t.Object({ id: t.String() }), response: Item, errors: ["not_found"], access: "public" }),
    all: stream({ request: t.Object({ from: t.Integer() }), item: t.Object({ n: t.Integer() }), access: "public" }),
    hang: method({ access: "public" }),
    whoAmI: method({ response: t.Object({ subject: t.String(), caller: t.String(), kind: t.String() }) }),
    mutate: method({
      request: t.Object({ tags: t.Array(t.String()) }),
      response: t.Object({ tags: t.Array(t.String()) }),
      access: "public",
    }),
  },
  events: { ItemStored: event({ key: "id", payload: Item }) },
});

export const watcher = contract("watcher", {
  methods: {
    seen: method({
      response: t.Object({ items: t.Array(t.Object({ label: t.String(), times: t.Integer() })) }),
      access: "public",
    }),
  },
});

export const front = contract("front", {
  methods: {
    putItem: method({ http: "PUT /items/:id", request: Item, access: "public" }),
    getItem: method({
      http: "GET /items/:id",
      request: t.Object({ id: t.String() }),
      response: Item,
      errors: { ITEM_UNKNOWN: "not_found" },
      access: "public",
      cache: { ttl: "1h", tags: ({ id }) => [`item:${id}`] },
    }),
    count: stream({
      http: "GET /count",
      request: t.Object({ from: t.Integer() }),
      item: t.Object({ n: t.Integer() }),
      access: "public",
    }),
    hook: raw({ http: "POST /hooks/*", access: "public" }),
    hang: method({ http: "GET /hang", access: "public", deadline: "200ms" }),
    signIn: method({
      http: "POST /sessions",
      request: t.Object({ name: t.String(), scopes: t.Optional(t.Array(t.String())) }),
      response: t.Object({ token: t.String(), expiresAt: t.String() }),
      access: "public",
    }),
    me: method({ http: "GET /me", response: t.Object({ subject: t.String(), caller: t.String(), kind: t.String() }) }),
    admin: method({ http: "GET /admin", access: { scope: "admin" } }),
    config: method({
      http: "GET /config",
      response: t.Object({ colour: t.String(), secretLength: t.Integer() }),
      access: "public",
    }),
  },
});

/** What the tests look at from outside. */
export const observed: { hangCancelled: number; kept: string[] } = { hangCancelled: 0, kept: ["kept"] };

export const storeService = service(store, {
  needs: { db: database({ migrations: new URL("./fixtures/store/", import.meta.url) }), cache: cache() },
  methods: {
    async put({ id, label }, { db, cache, events }) {
      await db.transaction(async (tx) => {
        await tx.sql`insert into items (id, label) values (${id}, ${label})
          on conflict (id) do update set label = excluded.label`;
        await events.publish(store.ItemStored, { id, label }, { in: tx });
      });
      await cache.invalidate([`item:${id}`]);
    },
    async get({ id }, { db, cache, fail }) {
      const item = await cache.getOrLoad(
        id,
        async () => (await db.sql<{ id: string; label: string }>`select id, label from items where id = ${id}`)[0],
        { tags: [`item:${id}`] },
      );
      if (!item) throw fail("not_found", `There is no item "${id}".`);
      return item;
    },
    async *all({ from }) {
      for (let n = from; n < from + 5; n++) yield { n };
    },
    hang: (_request, { signal }) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          observed.hangCancelled++;
          reject(signal.reason as Error);
        });
      }),
    async whoAmI(_request, { principal, caller }) {
      return { subject: principal.subject, caller, kind: principal.kind };
    },
    async mutate({ tags }) {
      tags.push("added by the callee");
      return { tags: observed.kept };
    },
  },
});

export const watcherService = service(watcher, {
  needs: { db: database({ migrations: new URL("./fixtures/store/", import.meta.url) }), store },
  methods: {
    async seen(_request, { db }) {
      const items = await db.sql<{ label: string; times: number }>`select label, times from seen order by id`;
      return { items };
    },
  },
  subscriptions: {
    note: {
      event: store.ItemStored,
      async handle({ id, label }, { tx, store, eventId }) {
        // Calls another service first: also with one session that must not wait for itself.
        const now = await store.get({ id });
        await tx.sql`insert into seen (id, label) values (${eventId}, ${`${label}/${now.label}`})
          on conflict (id) do update set times = seen.times + 1`;
      },
    },
  },
});

export const frontService = service(front, {
  needs: {
    store,
    kept: cache(),
    tokens: tokens(),
    colour: setting("SAMPLE_COLOUR", { default: "grey" }),
    key: secret("SAMPLE_KEY", "a key for the test"),
  },
  methods: {
    async putItem(item, { store, kept }) {
      await store.put(item);
      await kept.invalidate(`item:${item.id}`);
    },
    async getItem({ id }, { store, fail }) {
      try {
        return await store.get({ id });
      } catch {
        throw fail("ITEM_UNKNOWN", `There is no item "${id}".`);
      }
    },
    count: ({ from }, { store }) => store.all({ from }),
    async hook({ method, params, headers, body }) {
      const text = `${method} ${params["*"]} ${headers["x-kind"]} ${new TextDecoder().decode(body)}`;
      return { status: 202, headers: { "x-hook": "yes" }, body: text };
    },
    hang: (_request, { store }) => store.hang(),
    signIn: ({ name, scopes }, { tokens }) => tokens.issue({ subject: name, ...(scopes && { scopes }) }),
    me: (_request, { store }) => store.whoAmI(),
    async admin() {},
    async config(_request, { colour, key }) {
      return { colour, secretLength: key.length };
    },
  },
});

export const sampleApp: App = app({
  name: "sample",
  services: [storeService, watcherService, frontService],
  placement: { edge: ["gateway", "front"], back: ["store"], workers: ["watcher"] },
});
