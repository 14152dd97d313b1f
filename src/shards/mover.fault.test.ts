import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { sql } from "../database/index.ts";
import { bucketOf } from "./bucket.ts";
import type { Bank } from "./fixtures/bank.ts";
import { openBank, shardBy } from "./fixtures/bank.ts";
import type { TestServers } from "./fixtures/drivers.ts";
import { openServers, postgresSkip } from "./fixtures/drivers.ts";
import type { MoverProcessOptions } from "./fixtures/mover-process.ts";
import { checkBank, startTraffic } from "./fixtures/traffic.ts";
import type { MoveCrashPointName } from "./move-crash-points.ts";
import { createMover } from "./mover.ts";

const keys = Array.from({ length: 12 }, (_, i) => `customer-${i}`);
const buckets = [...new Set(keys.map(bucketOf))];
let servers: TestServers;
let bank: Bank;

describe("moves between Postgres databases, with writers running", { skip: postgresSkip }, () => {
  before(async () => {
    servers = await openServers(["main", "b"]);
    const main = servers.drivers.get("main");
    assert.ok(main);
    bank = await openBank({ directory: main, shards: servers.drivers });
  });
  after(() => servers.close());

  const mover = (more = {}) =>
    createMover({
      directory: bank.directory,
      shards: bank.databases,
      service: "bank",
      shardBy,
      leaseMs: 300,
      bucketsPerMove: 64,
      ...more,
    });

  /** A mover in a process of its own. True when it killed itself. */
  async function killMover(to: string, crashPoint: string): Promise<boolean> {
    const options: MoverProcessOptions = {
      schema: bank.schema,
      urls: Object.fromEntries(servers.urls),
      buckets,
      to,
      crashPoint,
    };
    const script = new URL("./fixtures/mover-process.ts", import.meta.url).pathname;
    const { NODE_V8_COVERAGE: _, ...env } = process.env;
    const args = ["--conditions=plinth:source", "--import", "tsx", script, JSON.stringify(options)];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
    const [, signal] = await once(child, "close");
    return signal === "SIGKILL";
  }

  const points: readonly MoveCrashPointName[] = [
    "move.capturing",
    "move.copied-some",
    "move.fenced",
    "move.switching",
    "move.source-left",
    "move.target-open",
    "move.switched",
  ];
  it("the mover killed at each point, a router with a stale map: nothing lost, nothing twice, no gap", async (t) => {
    const routers = [
      bank.db,
      bank.router(),
      bank.router({ refreshMs: 1e9 }),
      bank.router({ mutant: "map frozen", moveWaitMs: 200 }),
    ];
    const traffic = startTraffic(routers, keys);
    let home = "main";
    for (const point of points) {
      const to = home === "main" ? "b" : "main";
      assert.ok(await killMover(to, point), `${point} was passed`);
      let ended = await mover().resume();
      while (ended.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        ended = await mover().resume();
      }
      assert.equal(ended[0]?.state, "DONE", `${point}: ${ended[0]?.note}`);
      home = to;
    }
    await traffic.stop();
    assert.deepEqual(traffic.wrong, []);
    assert.deepEqual(await checkBank(bank, traffic.acknowledged), []);
    t.diagnostic(
      `${traffic.acknowledged.length} writes, ${traffic.refused} refused, slowest ${Math.round(traffic.slowestMs)} ms`,
    );
    assert.ok(traffic.acknowledged.length > 100, String(traffic.acknowledged.length));
  });

  it("8 moves there and back: each write is let in within the pause", async (t) => {
    const traffic = startTraffic([bank.router(), bank.router(), bank.router()], keys);
    const pauses: number[] = [];
    const here = (
      await bank.directory.sql<{ shard: string }>`select shard from buckets where bucket = ${buckets[0]}`
    )[0]?.shard;
    for (let i = 0; i < 8; i++) {
      const [move] = await mover().move({ buckets, to: (here === "main") === (i % 2 === 0) ? "b" : "main" });
      assert.equal(move?.state, "DONE", move?.note ?? "");
      pauses.push(move?.pauseMs ?? 0);
    }
    await traffic.stop();
    assert.deepEqual(traffic.wrong, []);
    assert.deepEqual(await checkBank(bank, traffic.acknowledged), []);
    t.diagnostic(
      `longest pause ${Math.round(Math.max(...pauses))} ms; slowest write ${Math.round(traffic.slowestMs)} ms; ${traffic.acknowledged.length} writes, ${traffic.refused} refused`,
    );
    assert.ok(Math.max(...pauses) < 2_500, String(pauses));
  });

  it("with the fence off, a write goes where its bucket has left: the fence is what prevents it, and the check sees it", async () => {
    const mutant = bank.router({ mutant: "fence off", refreshMs: 1e9 });
    const [{ shard: home } = { shard: "" }] = await bank.directory.sql<{
      shard: string;
    }>`select shard from buckets where bucket = ${buckets[0]}`;
    await mutant.at(keys[0] as string).sql`select 1 as one`;
    await mover().move({ buckets, to: home === "main" ? "b" : "main" });
    const traffic = startTraffic([mutant], keys);
    while (traffic.acknowledged.length < 5) await new Promise((resolve) => setTimeout(resolve, 10));
    await traffic.stop();
    const found = await checkBank(bank, traffic.acknowledged);
    assert.ok(
      found.some((each) => each.startsWith("misplaced")),
      found.join("\n"),
    );
    for (const database of bank.databases.values())
      await database.transaction(async (tx) => {
        await tx.sql`select set_config('plinth.key', '*', true)`;
        for (const { id } of traffic.acknowledged) await tx.sql`delete from entries where id = ${id}`;
      });
  });

  it("gives the fence back when a writer stays inside, and comes again", async () => {
    const bucket = bucketOf("long");
    await bank.db.at("long").sql`insert into accounts (id) values ('long')`;
    let release = () => {};
    const inside = new Promise<void>((resolve) => {
      release = resolve;
    });
    let begun = () => {};
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const writer = bank.db.at("long").transaction(async (tx) => {
      await tx.sql`update accounts set version = version + 1 where id = 'long'`;
      begun();
      await inside;
    });
    await started;
    const notes: string[] = [];
    const moving = mover({
      lockTimeoutMs: 100,
      onProgress: ({ state }: { state: string }) => {
        notes.push(state);
      },
    }).move({ buckets: [bucket], to: "b" });
    await new Promise((resolve) => setTimeout(resolve, 350));
    // Another writer of the bucket is not kept out for good while the mover tries.
    await bank.db.at("long").sql`insert into entries (account, id, amount) values ('long', 'while', 1)`;
    release();
    await writer;
    const [move] = await moving;
    assert.equal(move?.state, "DONE", move?.note ?? "");
  });

  it("lets writers in again after the pause, whatever hangs on the way", async () => {
    const bucket = bucketOf("hung");
    await bank.db.at("hung").sql`insert into accounts (id) values ('hung')`;
    const [{ shard } = { shard: "" }] = await bank.directory.sql<{
      shard: string;
    }>`select shard from buckets where bucket = ${bucket}`;
    const to = shard === "main" ? "b" : "main";
    let holding: Promise<unknown> | undefined;
    const lockTarget = async (): Promise<number> => {
      if (holding) return 0;
      await new Promise<void>((locked) => {
        holding = bank.on(to).transaction(async (tx) => {
          await tx.sql`lock table accounts in access exclusive mode`;
          locked();
          await new Promise((resolve) => setTimeout(resolve, 6_000));
        });
      });
      return 0;
    };
    const moving = mover({ pauseMsMax: 1_000, fenceAttempts: 1, pendingEvents: lockTarget }).move({
      buckets: [bucket],
      to,
    });
    while (!holding) await new Promise((resolve) => setTimeout(resolve, 5));
    const startedAt = performance.now();
    for (let isIn = false; !isIn; ) {
      isIn = await bank.db.at("hung").sql`update accounts set version = version + 1 where id = 'hung'`.then(
        () => true,
        () => false,
      );
    }
    const waitedMs = performance.now() - startedAt;
    const [move] = await moving;
    await holding;
    assert.equal(move?.state, "ABORTED");
    assert.match(move?.note ?? "", /verifying went on .* for more than 1000 ms/);
    assert.ok(waitedMs < 4_000, `${waitedMs} ms`);
  });

  it("tells a session that its data moved, and runs a read-only transaction again that a move overtook", async () => {
    const db = bank.router({ refreshMs: 1e9 });
    await db.at("hal").sql`insert into accounts (id) values ('hal')`;
    const { shard } = (
      await bank.directory.sql<{ shard: string }>`select shard from buckets where bucket = ${bucketOf("hal")}`
    )[0] ?? { shard: "" };
    const to = shard === "main" ? "b" : "main";
    const session = db.at("hal").session(async (own) => {
      await own.sql`select 1 as one`;
      await mover().move({ buckets: [bucketOf("hal")], to });
      return own.sql`select 1 as one`;
    });
    await assert.rejects(session, { reason: "SHARD_MOVED" });
    let runs = 0;
    const rows = await db.at("hal").transaction(
      async (tx) => {
        if (++runs === 1) await mover().move({ buckets: [bucketOf("hal")], to: shard });
        return tx.sql`select id from accounts where id = 'hal'`;
      },
      { readOnly: true },
    );
    assert.deepEqual(rows, [{ id: "hal" }]);
    assert.equal(runs, 2);
  });

  it("does not wait for a shard in a scatter longer than its deadline", async () => {
    const startedAt = performance.now();
    const slow = bank.db.scatter(sql`select pg_sleep(3)::text`, { deadlineMs: 100 });
    await assert.rejects(slow, { reason: "SCATTER_INCOMPLETE" });
    assert.ok(performance.now() - startedAt < 1_500);
  });
});
