import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createManualClock, createSeededRandom, Position } from "../base/index.ts";
import type { DatabaseDriver, QueryResult } from "./driver.ts";
import { createReplicas } from "./replicas.ts";

const name = "00000000000000000001";
const lsn = (place: number): string => `0/${place.toString(16)}`;
const placeAt = (place: number): bigint => (1n << 64n) | BigInt(place);

/** A server that only says how far it is. Real ones: engines/postgres/replicas.test.ts. */
function server(state: { place: number }, isPrimary: boolean) {
  let acquired = 0;
  let asked = 0;
  const answer = async (): Promise<QueryResult> => {
    asked++;
    const row = isPrimary
      ? { lsn: lsn(state.place), file: "000000010000000000000000", id: name }
      : { recovering: true, replayed: lsn(state.place), timeline: 1, id: name };
    return { rows: [row], rowCount: 1, command: "SELECT", fields: [] };
  };
  const driver: DatabaseDriver = {
    name: isPrimary ? "primary" : "replica",
    flags: {
      concurrentTransactions: true,
      multipleProcesses: true,
      cancelsStatements: true,
      sessionState: true,
      pooled: false,
      durability: "power-loss",
    },
    stats: { open: 0, idle: 0, waiting: 0, size: 4, queueSizeMax: 100 },
    open: async () => {},
    close: async () => {},
    async acquire() {
      acquired++;
      return { query: answer, script: async () => {}, release: () => {} };
    },
  };
  return {
    driver,
    state,
    get acquired() {
      return acquired;
    },
    get asked() {
      return asked;
    },
  };
}

async function setUp() {
  const clock = createManualClock();
  const [primary, replica] = [server({ place: 1_000 }, true), server({ place: 1_000 }, false)];
  const replicas = createReplicas({
    primary: primary.driver,
    replicas: [replica.driver],
    clock,
    random: createSeededRandom(1),
  });
  await replicas.open();
  const read = (place: bigint) => {
    const position = new Position();
    position.advance(replicas.log.name as string, place);
    return replicas.lease({
      schema: "app",
      position,
      wroteAt: Number.NEGATIVE_INFINITY,
      stalenessMs: 5_000,
      context: undefined,
    });
  };
  return { clock, primary, replica, replicas, read };
}

describe("a read with a position from outside", () => {
  test("that the primary has not reached is the primary's at once, and no replica is asked or kept", async () => {
    const { primary, replica, replicas, read } = await setUp();
    const before = [primary.asked, replica.acquired] as const;
    // No time passes on this clock: who waited would wait for ever.
    const leases = await Promise.all(Array.from({ length: 8 }, () => read(placeAt(1_000_000))));
    assert.ok(leases.every((lease) => lease === undefined));
    assert.deepEqual([replica.acquired - before[1], replicas.stats[0]?.readCount], [0, 0]);
    assert.ok(primary.asked - before[0] <= 2, `eight readers asked the primary ${primary.asked - before[0]} times`);
    assert.equal(replicas.primaryReadCount, 8);
    await replicas.close();
  });

  test("that is newer than what this process knows of the primary still goes to the replica", async () => {
    const { primary, replica, replicas, read } = await setUp();
    primary.state.place = 2_000;
    replica.state.place = 2_000;
    const asked = primary.asked;
    const lease = await read(placeAt(2_000));
    assert.ok(lease);
    lease.release();
    assert.equal(primary.asked - asked, 1);
    (await read(placeAt(2_000)))?.release();
    assert.deepEqual([primary.asked - asked, replicas.stats[0]?.readCount], [1, 2], "and is known from then on");
    await replicas.close();
  });
});
