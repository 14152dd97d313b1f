/**
 * A process that carries a bank's events to the service that listens: a relay for each shard, and the consumer. Works until
 * it is told SIGTERM. Argument: a `BankAddress` as JSON.
 */
import { createRelay } from "../../src/events/index.ts";
import { type BankAddress, openBank } from "./bank.ts";
import { argument, untilTold } from "./program.ts";
import { createReader } from "./reader.ts";

const bank = await openBank(argument<BankAddress>());
const broker = bank.broker();
await broker.open();
const reader = createReader(bank, broker);
await reader.start();
const relays = [...bank.databases.values()].map((database) => createRelay({ service: bank.name, database, broker }));
for (const relay of relays) relay.start();
await untilTold(() => {});
await Promise.all(relays.map((relay) => relay.drain()));
await reader.drain();
await broker.close();
await bank.close();
