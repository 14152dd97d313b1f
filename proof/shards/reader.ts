import type { Broker, Consumer } from "../../src/events/index.ts";
import { createConsumer } from "../../src/events/index.ts";
import { type Bank, type Written, writtenBy } from "./bank.ts";

/** The service that listens: writes down what it hears, in the order in which it takes effect. */
export function createReader(bank: Bank, broker: Broker): Consumer {
  return createConsumer({
    service: bank.reader.schema,
    broker,
    database: bank.reader,
    subscriptions: [
      {
        name: `${bank.reader.schema}.note`,
        types: [writtenBy(bank.name)],
        async handle({ version }: Written, { tx, message }) {
          if (!tx) throw new Error("the reader has a database");
          await tx.sql`
            insert into effects (key, sequence, version) values (${message.key}, ${message.sequence ?? 0}, ${version})`;
        },
      },
    ],
  });
}
