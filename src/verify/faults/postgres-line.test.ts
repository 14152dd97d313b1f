import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { isError, newId, StartError, systemClock } from "../../base/index.ts";
import type { Database, DatabaseDriver } from "../../database/index.ts";
import { createDatabase, sql } from "../../database/index.ts";
import postgres from "../../engines/postgres/index.ts";
import type { LineReaderOptions } from "./exchange.ts";
import type { Step } from "./pipe.ts";
import { createPostgresLine } from "./postgres-line.ts";
import type { FaultProxy } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";
import type { FaultAction } from "./rule.ts";
import { createRuleBook } from "./rule.ts";

const url = process.env.PLINTH_TEST_POSTGRES_URL;
const skip = url ? false : "PLINTH_TEST_POSTGRES_URL is not set";

const driverOf = (address: string): DatabaseDriver => {
  const driver = postgres.ports.database?.(new URL(address));
  assert.ok(driver);
  return driver;
};

describe("faults on a line to Postgres", { skip }, () => {
  const schema = `faults_${newId().replaceAll("-", "")}`;
  let direct: Database;
  let directDriver: DatabaseDriver;
  let proxy: FaultProxy;
  let driver: DatabaseDriver;
  let db: Database;

  before(async () => {
    directDriver = driverOf(url as string);
    await directDriver.open();
    direct = createDatabase({ driver: directDriver, schema });
    await direct.execute(sql`create schema ${sql.id(schema)}`);
    await direct.sql`create table item (id int primary key)`;
  });
  after(async () => {
    await direct.execute(sql`drop schema ${sql.id(schema)} cascade`);
    await directDriver.close();
  });
  const open = async (query = ""): Promise<void> => {
    const { hostname: host, port } = new URL(url as string);
    proxy = await createFaultProxy({ target: { host, port: Number(port || 5432) }, protocol: "postgres" });
    driver = driverOf(`${proxy.address(url as string)}${query}`);
    await driver.open();
    db = createDatabase({ driver, schema });
  };
  afterEach(async () => {
    await proxy.clear();
    await proxy.reset();
    await driver.close();
    await proxy.close();
    await direct.sql`truncate item`;
  });
  const items = async () => (await direct.sql<{ id: number }>`select id from item order by id`).map(({ id }) => id);
  const insert = (id: number) => db.transaction((tx) => tx.sql`insert into item values (${id})`);
  const outcome = async (run: Promise<unknown>): Promise<string> => {
    try {
      await run;
      return "ok";
    } catch (thrown) {
      assert.ok(isError(thrown), String(thrown));
      return thrown.reason;
    }
  };

  test("a COMMIT whose reply is cut was carried out, and the client says that it does not know", async () => {
    await open();
    await proxy.plan({ name: "ambiguous", match: "^commit", action: "cut-reply", nth: 2 });
    assert.equal(await outcome(insert(1)), "ok");
    assert.equal(await outcome(insert(2)), "COMMIT_OUTCOME_UNKNOWN");
    assert.equal(await outcome(insert(3)), "ok");
    assert.deepEqual(await items(), [1, 2, 3]);
    assert.deepEqual(await proxy.hits(), [
      { rule: "ambiguous", action: "cut-reply", asked: "commit", answer: "COMMIT" },
    ]);
    const { cuts, affectedConnections } = await proxy.counts();
    assert.deepEqual([cuts, affectedConnections], [1, 1]);
  });

  test("a COMMIT that is cut off before it is sent was not carried out, and the client cannot tell the difference", async () => {
    await open();
    await proxy.plan({ name: "lost", match: "^commit", action: "cut-request" });
    assert.equal(await outcome(insert(1)), "COMMIT_OUTCOME_UNKNOWN");
    assert.deepEqual(await items(), []);
    assert.equal((await proxy.hits())[0]?.answer, undefined);
  });

  test("a statement can be delayed, and so can its reply", async () => {
    await open();
    for (const action of ["delay-request", "delay-reply"] as FaultAction[]) {
      await proxy.plan({ name: action, match: "select 4[0-9]", action, delayMs: 120 });
      const startedAt = systemClock.now();
      assert.deepEqual(await db.sql`select 42 as n`, [{ n: 42 }]);
      assert.ok(systemClock.now() - startedAt >= 115);
      await proxy.clear();
    }
    assert.deepEqual(
      (await proxy.hits()).map(({ action, answer }) => [action, answer]),
      [
        ["delay-request", undefined],
        ["delay-reply", "SELECT 1"],
      ],
    );
  });

  test("a reply that is lost leaves the client waiting on a connection that looks alive", async () => {
    await open();
    await proxy.plan({ name: "silent", match: "^insert", action: "lose-reply" });
    const waiting = outcome(db.execute(sql`insert into item values (${7})`));
    const endAt = systemClock.now() + 3000;
    while ((await proxy.hits()).length === 0 && systemClock.now() < endAt) await systemClock.sleep(5);
    assert.deepEqual(await items(), [7], "it was carried out");
    assert.equal((await proxy.hits())[0]?.answer, "INSERT 0 1");
    assert.equal((await proxy.counts()).openConnections >= 1, true);
    await proxy.reset();
    assert.notEqual(await waiting, "ok");
  });

  test("what is asked is seen in a transaction with an error, and the answer of the hit says so", async () => {
    await open();
    await insert(1);
    await proxy.plan({ name: "duplicate", match: "^insert into item", action: "cut-reply" });
    assert.notEqual(await outcome(insert(1)), "ok");
    assert.equal((await proxy.hits())[0]?.answer, "ERROR 23505");
  });

  test("a rule that Postgres cannot have is refused", async () => {
    await open();
    const wrong: [object, RegExp][] = [
      [{ action: "duplicate" }, /postgres has no duplicate/],
      [{ action: "cut-reply", nth: 0 }, /nth must be/],
      [{ action: "cut-reply", times: 0.5 }, /times must be/],
      [{ action: "delay-reply" }, /delayMs, 1 to 600000/],
      [{ action: "cut-reply", delayMs: 5 }, /belongs to a delay/],
      [{ action: "cut-reply", match: "(" }, /no regular expression/],
    ];
    for (const [part, pattern] of wrong) {
      const rule = { name: "r", match: "x", ...part } as never;
      await assert.rejects(proxy.plan(rule), (thrown) => thrown instanceof StartError && pattern.test(thrown.message));
    }
  });
});

const message = (type: string, ...parts: (string | Buffer)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const untyped = (code: number, body = ""): Buffer => {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(code, 4);
  bytes.write(body, 8);
  return bytes;
};
const ready = message("Z", "I");
const complete = (tag: string) => message("C", `${tag}\0`);
const failed = message("E", "SERROR\0", "C40001\0", "Mno\0", "\0");
const execute = (statement: string): Buffer[] => [
  message("P", "\0", `${statement}\0`, Buffer.alloc(2)),
  message("B", "\0", "\0", Buffer.alloc(6)),
  message("E", "\0", Buffer.alloc(4)),
];

describe("the reader of Postgres' protocol", () => {
  const reader = (...rules: { match: string; action: FaultAction; nth?: number; delayMs?: number }[]) => {
    const book = createRuleBook("postgres");
    for (const rule of rules) book.add({ name: rule.match, ...rule });
    const seen = { dropped: 0, unread: 0 };
    const options: LineReaderOptions = {
      judge: book.judge,
      dropped(_, byteCount) {
        seen.dropped += byteCount;
      },
      bite() {},
      unread() {
        seen.unread++;
      },
    };
    const line = createPostgresLine(options);
    return { line, book, seen };
  };
  const started = (...rules: Parameters<typeof reader>) => {
    const made = reader(...rules);
    made.line.up(untyped(196_608, "user\0x\0\0"));
    made.line.down(Buffer.concat([message("R", Buffer.alloc(4)), message("S", "a\0b\0"), ready]));
    return made;
  };
  const shape = (steps: readonly Step[]): string =>
    steps.map((step) => (step.kind === "bytes" ? String.fromCharCode(step.bytes[0] as number) : step.kind)).join(" ");
  const bytesOf = (steps: readonly Step[]) =>
    Buffer.concat(steps.flatMap((step) => (step.kind === "bytes" ? [step.bytes] : [])));

  test("finds the reply of one of many statements that were sent at once", () => {
    const { line, book } = started({ match: "two", action: "cut-reply" });
    const sent = [...execute("one"), ...execute("two"), ...execute("three"), message("S")];
    assert.equal(shape(line.up(Buffer.concat(sent))), "P B E P B E P B E S");
    const parse = [message("1"), message("2")];
    const answer = [
      ...parse,
      complete("A 1"),
      ...parse,
      message("D", "row"),
      complete("B 2"),
      ...parse,
      complete("C 3"),
      ready,
    ];
    assert.equal(shape(line.down(Buffer.concat(answer))), "1 2 C 1 2 cut");
    assert.equal(book.hits[0]?.answer, "C 3");
  });

  test("cuts an executed COMMIT at its own CommandComplete, for what comes after it is another's", () => {
    const { line } = started({ match: "^commit$", action: "cut-reply" });
    line.up(Buffer.concat([...execute("commit"), message("S")]));
    assert.equal(shape(line.down(Buffer.concat([message("1"), message("2"), complete("COMMIT")]))), "1 2 cut");
  });

  test("knows named statements, and that an error skips what was sent with it", () => {
    const { line, book } = started({ match: "named", action: "delay-reply", nth: 2, delayMs: 5 });
    line.up(message("P", "s1\0", "named\0", Buffer.alloc(2)));
    const run = [message("B", "p1\0", "s1\0", Buffer.alloc(6)), message("E", "p1\0", Buffer.alloc(4)), message("S")];
    line.up(Buffer.concat([...execute("bad"), ...run]));
    assert.equal(shape(line.down(Buffer.concat([message("1"), failed, ready]))), "1 E Z");
    line.up(Buffer.concat(run));
    assert.equal(
      shape(line.down(Buffer.concat([message("2"), message("N", "notice"), complete("X"), ready]))),
      "2 N wait C Z",
    );
    assert.equal(book.hits.length, 1);
  });

  test("tells by ERROR and the SQLSTATE that the statement failed", () => {
    const { line, book } = started({ match: "x", action: "lose-reply" });
    line.up(message("Q", "x\0"));
    assert.equal(shape(line.down(Buffer.concat([failed, ready]))), "silence");
    assert.equal(book.hits[0]?.answer, "ERROR 40001");
  });

  test("reads whatever the pieces are that bytes arrive in, and passes every byte on", () => {
    const sent = Buffer.concat([
      ...execute("one"),
      message("S"),
      message("Q", `${"y".repeat(200_000)}\0`),
      message("F", "f"),
    ]);
    const answer = Buffer.concat([
      message("1"),
      message("D", Buffer.alloc(150_000, 1)),
      complete("A"),
      ready,
      message("T", "t"),
      complete("B"),
      ready,
      ready,
    ]);
    const short = Buffer.concat([...execute("one"), message("S"), message("Q", "two\0"), message("F", "f")]);
    for (const [size, up, down] of [
      [1, short, Buffer.concat([message("1"), complete("A"), ready, ready, ready])],
      [7, short, Buffer.concat([message("1"), complete("A"), ready, ready, ready])],
      [1000, sent, answer],
      [70_000, sent, answer],
    ] as const) {
      const { line } = started({ match: "never", action: "cut-reply" });
      const pieces = (bytes: Buffer, read: (chunk: Buffer) => readonly Step[]): Buffer => {
        const out: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) out.push(bytesOf(read(bytes.subarray(at, at + size))));
        return Buffer.concat(out);
      };
      assert.ok(pieces(up, line.up).equals(up));
      assert.ok(pieces(down, line.down).equals(down));
    }
  });

  test("drops the pieces of a long row that belongs to a reply it holds", () => {
    const { line, seen } = started({ match: "big", action: "cut-reply" });
    line.up(message("Q", "big\0"));
    const row = message("D", Buffer.alloc(200_000));
    assert.equal(shape(line.down(Buffer.concat([row, complete("SELECT 1"), ready]))), "cut");
    assert.equal(seen.dropped, row.length + complete("SELECT 1").length + ready.length);
  });

  test("lets an encrypted line pass unread, and says so", () => {
    const { line, seen } = reader({ match: ".", action: "cut-request" });
    line.up(untyped(80_877_103));
    assert.equal(shape(line.down(Buffer.from("S"))), "S");
    assert.equal(shape(line.up(Buffer.from("\x16\x03\x01 hello"))), "\x16");
    assert.equal(shape(line.down(Buffer.from("\x16\x03"))), "\x16");
    assert.equal(seen.unread, 1);
  });

  test("reads on where the server would not encrypt, and where it did not understand", () => {
    for (const refusal of [Buffer.from("N"), failed]) {
      const { line, seen } = reader({ match: "x", action: "cut-request" });
      line.up(untyped(80_877_103));
      assert.equal(bytesOf(line.down(refusal)).length, refusal.length);
      line.up(untyped(196_608, "user\0x\0\0"));
      assert.equal(shape(line.up(message("Q", "x\0"))), "cut");
      assert.equal(seen.unread, 0);
    }
  });

  test("gives up on what is no Postgres", () => {
    const { line, seen } = reader({ match: ".", action: "cut-request" });
    assert.equal(bytesOf(line.up(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toString(), "GET / HTTP/1.1\r\n\r\n");
    assert.equal(seen.unread, 1);
  });
});
