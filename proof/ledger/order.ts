import type { Look } from "../../examples/shop/books.ts";
import { checkOrder, type SequencedEffect, type Verdict } from "../../src/verify/index.ts";
import { schemasWith } from "./rest.ts";

/**
 * Whether the events of each key took effect in their order, in each subscription. Seen twice: for all events of the shop
 * from the inboxes, whose rows are there exactly when the effect is, in the order of their commits; and for the journal
 * from its own numbers, which know nothing of inboxes. The platform's own subscriptions have none: an invalidation may come
 * twice.
 */
export async function checkShopOrder(look: Look): Promise<readonly Verdict[]> {
  const schemas = await schemasWith(look, "plinth_inbox");
  const inboxes = schemas.map(
    (schema) =>
      `select subscription, message_id, pg_xact_commit_timestamp(xmin) as committed, at from "${schema}".plinth_inbox`,
  );
  // A subscription hears some of the events of a key: their places among those it hears are what it sees.
  const heard = `
    select s.subscription, m.id, m.source || ' ' || m.key as key,
      row_number() over (partition by s.subscription, m.source, m.key order by m.sequence)::int as sequence
    from plinth_broker.messages m join plinth_broker.subscriptions s on s.type = m.type
    where s.subscription not like '%.plinth:%'`;
  const effects = (await look(
    "",
    `select h.subscription, h.key, h.sequence from (${inboxes.join(" union all ")}) i
     join (${heard}) h on h.subscription = i.subscription and h.id = i.message_id order by i.committed, i.at`,
  )) as unknown as SequencedEffect[];
  const published = await look(
    "",
    `select subscription, key, max(sequence) as last from (${heard}) h group by subscription, key`,
  );
  const subscriptions = [...new Set(published.map(({ subscription }) => String(subscription)))];
  return subscriptions.map((subscription) =>
    checkOrder({
      effects: effects.filter((effect) => effect.subscription === subscription),
      published: Object.fromEntries(
        published.filter((row) => row.subscription === subscription).map(({ key, last }) => [key, last]),
      ),
      subscriptions: [subscription],
    }),
  );
}

/** Whether every event that a service has numbered came to the broker, once and in its order. */
export async function checkArrivals(look: Look): Promise<Verdict> {
  const schemas = await schemasWith(look, "plinth_event_keys");
  const numbered = await look(
    "",
    schemas
      .map((schema) => `select '${schema} ' || key as key, seq::int as last from "${schema}".plinth_event_keys`)
      .join(" union all "),
  );
  const arrived = await look(
    "",
    "select source || ' ' || key as key, sequence::int as sequence from plinth_broker.messages order by seq",
  );
  return checkOrder({
    effects: arrived.map(({ key, sequence }) => ({ subscription: "broker", key, sequence })),
    published: Object.fromEntries(numbered.map(({ key, last }) => [key, last])),
    subscriptions: ["broker"],
  });
}

export async function checkJournal(look: Look): Promise<Verdict> {
  const pages = await look("journal", "select page, last from journal.pages");
  const lines = await look("reader", "select page, line from reader.lines order by pg_xact_commit_timestamp(xmin), id");
  return checkOrder({
    effects: lines.map(({ page, line }) => ({ subscription: "reader", key: page, sequence: line })),
    published: Object.fromEntries(pages.map(({ page, last }) => [page, last])),
    subscriptions: ["reader"],
  });
}
