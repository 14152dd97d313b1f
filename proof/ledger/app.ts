import { app, contract, database, event, method, service, t } from "plinth";
import shop from "../../examples/shop/app.ts";

/**
 * The shop, and beside it a journal whose lines are counted: few keys with many events each, where the shop has many keys
 * with few. Who writes and who reads live in groups of their own.
 */
const Page = t.String({ maxLength: 20 });
const Line = t.Object({ page: Page, line: t.Integer() });

const journal = contract("journal", {
  methods: {
    write: method({
      http: "POST /journal/:page",
      request: t.Object({ page: Page }),
      response: Line,
      access: "public",
    }),
  },
  events: { LineWritten: event({ key: "page", payload: Line }) },
});

const journalService = service(journal, {
  needs: { db: database({ migrations: new URL("./migrations/journal/", import.meta.url) }) },
  methods: {
    async write({ page }, { db, events }) {
      return db.transaction(async (tx) => {
        const [row] = await tx.sql<{ page: string; line: number }>`
          insert into pages (page, last) values (${page}, 1)
          on conflict (page) do update set last = pages.last + 1 returning page, last as line`;
        if (!row) throw new Error("an upsert gives its row");
        await events.publish(journal.LineWritten, row, { in: tx });
        return row;
      });
    },
  },
});

const readerService = service(contract("reader", { methods: {} }), {
  needs: { db: database({ migrations: new URL("./migrations/reader/", import.meta.url) }) },
  methods: {},
  subscriptions: {
    copyLine: {
      event: journal.LineWritten,
      async handle({ page, line }, { tx }) {
        await tx.sql`insert into lines (page, line) values (${page}, ${line})`;
      },
    },
  },
});

const { edge = [], catalogue = [], orders = [], workers = [] } = shop.placement ?? {};

export default app({
  name: "ledger",
  services: [...shop.services, journalService, readerService],
  placement: {
    edge,
    catalogue,
    orders: [...orders, "journal"],
    workers: [...workers, "reader"],
  },
});
