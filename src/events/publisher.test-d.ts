import type { Database, Transaction } from "../database/index.ts";
import type { EventType } from "./event.ts";
import type { Publisher } from "./publisher.ts";

/** What the compiler refuses of a publisher. */
declare const publisher: Publisher;
declare const sold: EventType<{ readonly key: string; readonly n: number }>;
declare const tx: Transaction;
declare const database: Database;

void publisher.publish(sold, { key: "k", n: 1 }, { in: tx });
// @ts-expect-error: there is no transaction
void publisher.publish(sold, { key: "k", n: 1 });
// @ts-expect-error: there is no transaction
void publisher.publish(sold, { key: "k", n: 1 }, {});
// @ts-expect-error: a database is no transaction
void publisher.publish(sold, { key: "k", n: 1 }, { in: database });
// @ts-expect-error: n is a number
void publisher.publish(sold, { key: "k", n: "1" }, { in: tx });
// @ts-expect-error: n is missing
void publisher.publish(sold, { key: "k" }, { in: tx });
