import assert from "node:assert/strict";
import { test } from "node:test";
import { app, type Stores, subscriptionsOf } from "../app/index.ts";
import { createDatabase } from "../database/index.ts";
import pglite from "../engines/pglite/index.ts";
import { createDatabaseBroker, migrateEvents } from "../events/index.ts";
import { t } from "../schema/index.ts";
import { cache, contract, database, method, service } from "../service/index.ts";
import { openDeadLetters } from "./dead-letters.ts";
import type { EventWork } from "./event-work.ts";
import { subscriptionActions } from "./subscription-actions.ts";

const things = contract("things", { methods: { get: method({ response: t.Object({}) }) } });
const cached = app({
  name: "cached",
  services: [service(things, { needs: { db: database(), cache: cache() }, methods: { get: async () => ({}) } })],
});

test("the platform's own subscription is the app's: it is not retired, and what it gave up on is shown", async () => {
  const driver = pglite.ports.database?.(new URL("pglite:memory:subscription-actions"));
  assert.ok(driver);
  await driver.open();
  const stores = { databaseOf: (schema: string) => createDatabase({ driver, schema }) } as Stores;
  const broker = createDatabaseBroker({ database: stores.databaseOf("plinth_broker") });
  await broker.open();
  const declared = subscriptionsOf(cached);
  await broker.ensure(declared);
  const name = declared[0]?.subscription ?? "";
  assert.equal(name, "things.plinth:invalidate");

  let told = "";
  const write = (text: string) => {
    told += text;
  };
  const style = (_: unknown, text: string) => text;
  const work = {
    app: cached,
    stores,
    names: [],
    flags: { json: false, yes: true },
    terminal: { out: { write, style }, err: { write, style } },
  } as unknown as EventWork;
  await subscriptionActions.list(work);
  assert.match(told, /things\.plinth:invalidate/);
  assert.doesNotMatch(told, /retire/);
  await assert.rejects(
    subscriptionActions.retire({ ...work, names: [name] }),
    /belongs to a service of this app, and would be there again/,
  );
  assert.equal((await broker.stats()).length, 1);

  const own = stores.databaseOf("things");
  await migrateEvents(own);
  await own.sql`
    insert into plinth_dead_letters (id, subscription, message_id, payload_hash, type, source, key, payload, at, error_code,
      error_reason, error_message, error_fingerprint, attempts)
    values (gen_random_uuid(), ${name}, gen_random_uuid(), 'h', 't', 'things', 'k', '{}', '', 'internal', 'X', 'x', 'f', 1)`;
  const letters = await openDeadLetters(cached, stores, undefined).list();
  assert.deepEqual(
    letters.map(({ service: of, subscription }) => [of, subscription]),
    [["things", name]],
  );
  await broker.close();
  await driver.close();
});
