import { setTimeout as sleep } from "node:timers/promises";
import type { Look } from "../../examples/shop/books.ts";

/** Something that is on its way still. */
export interface UnderWay {
  readonly id: string;
  readonly ageMs: number;
}

export interface Rest {
  /** How long it took, from the call. */
  readonly tookMs: number;
  /** What was still on its way at the end of the wait: nothing, when all is well. */
  readonly left: readonly UnderWay[];
  /** Events that nobody could handle. */
  readonly deadLetters: number;
}

const checkEveryMs = 250;

/** Waits until nothing is under way, at most so long. */
export async function comeToRest(look: Look, waitMsMax: number): Promise<Rest> {
  const startedAt = performance.now();
  for (;;) {
    const left = await findUnderWay(look);
    const tookMs = performance.now() - startedAt;
    if (left.length === 0 || tookMs >= waitMsMax) return { tookMs, left, deadLetters: await countDeadLetters(look) };
    await sleep(checkEveryMs);
  }
}

/** Events in an outbox or with the broker, orders and reservations that are not decided, mails that are not written. */
async function findUnderWay(look: Look): Promise<UnderWay[]> {
  const age = (column: string) => `(extract(epoch from clock_timestamp() - ${column}) * 1000)::float8 as "ageMs"`;
  const outboxes = (await schemasWith(look, "plinth_outbox")).map(
    (schema) =>
      `select 'outbox of ${schema} ' || seq as id, ${age("created_at")} from "${schema}".plinth_outbox
       where published_at is null`,
  );
  const parts = [
    ...outboxes,
    `select 'delivery ' || d.subscription || ' ' || d.key as id, ${age("m.published_at")}
     from plinth_broker.deliveries d join plinth_broker.messages m on m.seq = coalesce(d.message, d.seq)`,
    `select 'order ' || id, ${age("created_at")} from checkout.orders where status in ('pending', 'failing')`,
    `select 'reservation ' || key, ${age("created_at")} from inventory.reservations where status = 'reserved'`,
    `select 'mail ' || id, ${age("created_at")} from email.mails where written_at is null`,
  ];
  return [...(await look("", parts.join(" union all ")))] as unknown as UnderWay[];
}

async function countDeadLetters(look: Look): Promise<number> {
  const schemas = await schemasWith(look, "plinth_dead_letters");
  const counts = schemas.map((schema) => `select count(*)::int as count from "${schema}".plinth_dead_letters`);
  const rows = await look("", counts.join(" union all "));
  return rows.reduce((sum, row) => sum + row.count, 0);
}

/** The schemas that have such a table: the services', and for some the broker's. */
export async function schemasWith(look: Look, table: string): Promise<string[]> {
  const rows = await look(
    "",
    `select table_schema from information_schema.tables where table_name = '${table}' order by 1`,
  );
  return rows.map((row) => row.table_schema);
}
