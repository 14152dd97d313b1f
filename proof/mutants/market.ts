import type { DatabaseDriver } from "../../src/database/index.ts";
import { createDatabase } from "../../src/database/index.ts";
import postgres from "../../src/engines/postgres/index.ts";
import type { CrashPoint, EventType } from "../../src/events/index.ts";
import { createDatabaseBroker, migrateEvents } from "../../src/events/index.ts";

/** Somebody sells, and books are kept of it elsewhere: as little as an event needs, composed of the rooms themselves. */
export interface Sale {
  readonly key: string;
  readonly n: number;
}

/** Where a run has its tables: no other run sees them. */
export interface Place {
  readonly url: string;
  readonly schema: string;
}

export const Sold: EventType<Sale> = {
  name: "market.Sold",
  service: "market",
  payload: {
    native: true,
    parse(value) {
      const { key, n } = (value ?? {}) as Partial<Sale>;
      if (typeof key !== "string" || typeof n !== "number") throw new TypeError("a sale has a key and a number");
      return { key, n };
    },
    stringify: ({ key, n }) => JSON.stringify({ key, n }),
  },
  keyOf: ({ key }: Sale) => key,
};

export const subscription = "books.enter";
/** Short, so that a process which is gone is soon replaced. */
export const lease = "1s";

export async function openDriver(url: string): Promise<DatabaseDriver> {
  const driver = postgres.ports.database?.(new URL(url));
  if (!driver) throw new Error(`no database at ${url}`);
  await driver.open();
  return driver;
}

export interface BrokerOptions {
  readonly epochCheck?: boolean;
  readonly crashPoint?: CrashPoint;
}

export function brokerOf(driver: DatabaseDriver, { schema }: Place, options: BrokerOptions = {}) {
  const database = createDatabase({ driver, schema: `${schema}_broker` });
  return createDatabaseBroker({ database, lease, ...options });
}

/** The tables of a run, and its subscription: what is sold from now on is for it. */
export async function layOut(driver: DatabaseDriver, place: Place): Promise<void> {
  const database = createDatabase({ driver, schema: place.schema });
  await migrateEvents(database);
  await database.session((session) =>
    session.script(
      `create table "${place.schema}".sale (key text not null, n int not null, primary key (key, n));
       create table "${place.schema}".entry (id bigint generated always as identity primary key, key text, n int)`,
    ),
  );
  const broker = brokerOf(driver, place);
  await broker.open();
  await broker.ensure([{ subscription, types: [Sold.name] }]);
  await broker.close();
}
