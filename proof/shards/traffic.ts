import { setTimeout as sleep } from "node:timers/promises";
import { error, PlinthError } from "../../src/base/index.ts";
import { sql } from "../../src/database/index.ts";
import type { Publisher } from "../../src/events/index.ts";
import { createPublisher } from "../../src/events/index.ts";
import type { ShardedDatabase } from "../../src/shards/index.ts";
import type { Begun, History } from "../../src/verify/index.ts";
import { type Bank, writtenBy } from "./bank.ts";

/** What one process does with a bank, and tells its history. */
export interface Traffic {
  readonly bank: Bank;
  readonly db: ShardedDatabase;
  readonly history: History;
  /** Of this process, within the run. */
  readonly name: string;
  readonly keys: readonly string[];
  readonly writers: number;
  /** Whether a write that was refused is tried again until it is done. */
  readonly insists: boolean;
  /** Between two operations of one loop, about. */
  readonly pauseMs: number;
}

/** Runs writers, a reader, a scatter and a claimant until `isOver`. */
export async function runTraffic(traffic: Traffic, isOver: () => boolean): Promise<void> {
  const { bank, writers, pauseMs } = traffic;
  const publisher = createPublisher({ service: bank.name, database: firstOf(bank) });
  let number = 0;
  const forever = async (work: () => Promise<void>, factor = 1): Promise<void> => {
    while (!isOver()) {
      await work();
      await sleep(pauseMs * factor * (0.5 + Math.random()));
    }
  };
  await Promise.all([
    ...Array.from({ length: writers }, () => forever(() => insist(traffic, publisher, () => ++number, isOver))),
    forever(() => read(traffic)),
    forever(() => scatter(traffic), 5),
    forever(() => claim(traffic), 5),
  ]);
}

function firstOf({ databases }: Bank) {
  const [first] = databases.values();
  if (!first) throw new Error("no shards");
  return first;
}

async function insist(
  traffic: Traffic,
  publisher: Publisher,
  nextNumber: () => number,
  isOver: () => boolean,
): Promise<void> {
  const key = anyOf(traffic.keys);
  const startedAt = performance.now();
  for (;;) {
    const isDone = await write(traffic, publisher, key, `${traffic.name}-${nextNumber()}`, startedAt);
    if (isDone || !traffic.insists || isOver()) return;
  }
}

/** The first version of each account, with notes that nobody changes. */
export async function load(traffic: Traffic, notesEach: number): Promise<void> {
  const { bank, db, keys, name } = traffic;
  const publisher = createPublisher({ service: bank.name, database: firstOf(bank) });
  await Promise.all(
    [0, 1, 2, 3].map(async (part) => {
      for (let i = part; i < keys.length; i += 4) {
        const key = keys[i] as string;
        await write(traffic, publisher, key, `${name}-${i}`, performance.now());
        await db.at(key).sql`
          insert into notes (account, n, body) select ${key}, n, repeat(md5(n::text), 8) from generate_series(1, ${notesEach}::int) n`;
      }
    }),
  );
}

/** One new version of the account. True when it was acknowledged. */
async function write(
  { db, bank, history, name }: Traffic,
  publisher: Publisher,
  key: string,
  id: string,
  firstAt: number,
): Promise<boolean> {
  const begun = history.begin({ process: name, action: "write", key, value: id });
  const attemptAt = performance.now();
  return told(begun, async () => {
    const version = await db.at(key).transaction(async (tx) => {
      const [row] = await tx.sql<{ version: number }>`
        insert into accounts (id, version) values (${key}, 1)
        on conflict (id) do update set version = accounts.version + 1 returning version`;
      const version = row?.version ?? 0;
      await tx.sql`insert into entries (account, id, version) values (${key}, ${id}, ${version})`;
      await publisher.publish(writtenBy(bank.name), { account: key, version }, { in: tx });
      return version;
    });
    const now = performance.now();
    return { version, tookMs: Math.round(now - attemptAt), pausedMs: Math.round(now - firstAt) };
  });
}

async function read({ db, history, name, keys }: Traffic): Promise<void> {
  const key = anyOf(keys);
  const begun = history.begin({ process: name, action: "read", key });
  await told(begun, async () => {
    const [row] = await db.at(key).sql<{ version: number }>`select version from accounts where id = ${key}`;
    return { version: row?.version ?? 0 };
  });
}

async function scatter({ db, history, name }: Traffic): Promise<void> {
  const begun = history.begin({ process: name, action: "scatter" });
  await told(begun, async () => {
    const { rows } = await db.scatter<{ id: string; version: number }>(sql`select id, version from accounts`, {
      orderBy: [{ column: "id", type: "text" }],
      limit: 1_000,
    });
    return { versions: Object.fromEntries(rows.map(({ id, version }) => [id, version])), rows: rows.length };
  });
}

/** Many processes want the same name at the same time, each for a key of its own. */
async function claim({ db, history, name, keys }: Traffic): Promise<void> {
  const key = anyOf(keys);
  const value = `name-${Math.floor(Date.now() / 200)}`;
  const begun = history.begin({ process: name, action: "claim", key, value });
  await told(begun, async () => {
    const claimed = await db.directory.claim("name", value, key);
    await db.at(key).transaction((tx) => claimed.confirm(tx));
    return {};
  });
}

/** Tells the history how it ended. What is said not to have been executed has failed for certain. */
async function told(begun: Begun, work: () => Promise<Parameters<Begun["ok"]>[0]>): Promise<boolean> {
  try {
    begun.ok(await work());
    return true;
  } catch (thrown) {
    if (!(thrown instanceof PlinthError)) throw thrown;
    const said = thrown.reason;
    if (thrown.executed === "no") begun.fail(said);
    else begun.unknown(said);
    return false;
  }
}

function anyOf<Item>(list: readonly Item[]): Item {
  const found = list[Math.floor(Math.random() * list.length)];
  if (found === undefined) throw error("internal", "An empty list.");
  return found;
}
