import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock, error, StartError } from "../base/index.ts";
import type { LoggerOptions } from "./logger.ts";
import { createLogger } from "./logger.ts";
import { createMemoryDestination } from "./memory-destination.ts";
import { createRedactor } from "./redactor.ts";
import { createTracer } from "./tracer.ts";

const setup = (options: LoggerOptions = {}) => {
  const destination = createMemoryDestination();
  const clock = createManualClock(Date.UTC(2026, 10, 22));
  const log = createLogger({ service: "shop", destination, clock, ...options });
  return { destination, clock, log, last: () => destination.records.at(-1) as Record<string, any> };
};

test("a line is one JSON object with level, time, service, fields and message", () => {
  const { log, destination } = setup();
  log.info({ orderId: "o1" }, "placed");
  assert.equal(
    destination.text,
    '{"level":"info","time":"2026-11-22T00:00:00.000Z","service":"shop","orderId":"o1","msg":"placed"}\n',
  );
});

test("each level writes its own name, and none below the level is written", () => {
  const { log, destination } = setup({ level: "warn" });
  for (const level of ["trace", "debug", "info", "warn", "error", "fatal"] as const) log[level]("x");
  assert.deepEqual(
    destination.records.map((one) => one.level),
    ["warn", "error", "fatal"],
  );
  assert.equal(log.isLevelEnabled("info"), false);
  assert.equal(log.isLevelEnabled("error"), true);
  assert.equal(log.isLevelEnabled("silent"), false);
});

test("the level of the whole tree can be changed while it runs", () => {
  const { log, destination } = setup();
  const child = log.child({ part: "a" });
  log.level = "debug";
  child.debug("seen");
  child.trace("not seen");
  child.level = "silent";
  log.fatal("not seen either");
  assert.equal(child.level, "silent");
  assert.deepEqual(
    destination.records.map((one) => one.msg),
    ["seen"],
  );
});

test("refuses an unknown level and says which there are", () => {
  assert.throws(
    () => createLogger({ level: "loud" as never, destination: createMemoryDestination() }),
    (thrown) => thrown instanceof StartError && /"loud" is unknown.*trace, debug, info/.test(thrown.message),
  );
});

test("a child adds its fields, and so does its child", () => {
  const { log, last } = setup({ fields: { version: "1" } });
  log.child({ a: 1 }).child({ b: 2 }).info("x");
  assert.deepEqual([last().version, last().a, last().b], ["1", 1, 2]);
});

test("a trace gives trace_id and span_id, by with, by child and by field", () => {
  const { log, last } = setup();
  const span = createTracer({ clock: createManualClock() }).start("work");
  const expected = [span.traceId, span.spanId];
  log.with(span).info("x");
  assert.deepEqual([last().trace_id, last().span_id], expected);
  log.child({ trace: span, a: 1 }).child({ b: 1 }).info("x");
  assert.deepEqual([last().trace_id, last().span_id, last().a, last().b], [...expected, 1, 1]);
  log.info({ trace: span }, "x");
  assert.deepEqual([last().trace_id, last().span_id, last().trace], [...expected, undefined]);
  log.with(span).with(undefined).info("x");
  assert.equal(last().trace_id, undefined);
});

test("a field never replaces one of ours", () => {
  const { log, destination, last } = setup();
  log.info({ level: "fatal", time: "never", msg: "fake", service: "bank", trace_id: "f" }, "true");
  assert.deepEqual([last().level, last().msg, last().service], ["info", "true", "shop"]);
  assert.deepEqual([last().level_, last().msg_, last().trace_id_], ["fatal", "fake", "f"]);
  assert.equal(destination.text.match(/"level":/g)?.length, 1);
});

test("an error is written with code, reason, private detail and the chain of its causes", () => {
  const { log, last } = setup();
  const root = new TypeError("socket closed");
  const middle = new Error("query failed", { cause: root });
  log.error(
    error("unavailable", "Try later.", {
      reason: "DB_GONE",
      cause: middle,
      detail: { host: "db1" },
      details: { n: 1 },
    }),
  );
  const { err, msg } = last();
  assert.equal(msg, "Try later.");
  assert.deepEqual(
    [err.type, err.code, err.reason, err.retry, err.executed, err.detail.host, err.details.n],
    ["PlinthError", "unavailable", "DB_GONE", "safe", "maybe", "db1", 1],
  );
  assert.equal(err.cause.message, "query failed");
  assert.equal(err.cause.cause.type, "TypeError");
  assert.match(err.stack, /logger\.test\.ts/);
});

test("an error among the fields is written in the same way, under its own name", () => {
  const { log, last } = setup();
  log.warn({ err: new Error("one"), other: new RangeError("two") });
  assert.equal(last().msg, "one");
  assert.equal(last().err.message, "one");
  assert.equal(last().other.type, "RangeError");
});

test("a log call never throws, whatever it is given", () => {
  const { log, destination } = setup();
  const circular: Record<string, unknown> = { a: 1n };
  circular.self = circular;
  let deep: unknown = 1;
  for (let i = 0; i < 20_000; i++) deep = [deep];
  const trap = {
    get bad(): never {
      throw new Error("no");
    },
  };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const gone = new Error("odd");
  Object.defineProperty(gone, "cause", { value: gone });
  log.info({ circular }, "circular");
  log.info({ deep }, "deep");
  log.info({ err: gone }, "own cause");
  log.info(trap, "getter");
  log.info(proxy as never, "proxy");
  log.info({ nested: { trap } }, "nested getter");
  assert.deepEqual(
    destination.records.map((one) => one.msg),
    ["circular", "deep", "own cause", "nested getter"],
  );
  assert.equal(log.failedCount, 2);
});

test("a destination that throws costs the line, and is counted", () => {
  const log = createLogger({
    destination: {
      write() {
        throw new Error("disk full");
      },
    },
  });
  log.info("x");
  assert.equal(log.failedCount, 1);
});

test("refuses to let data forge a line or steer a terminal", () => {
  const { log, destination } = setup();
  const evil = 'x\n{"level":"fatal"}\r\u2028\u0085\u009b31m\u001b[2J';
  log.info({ [evil]: evil }, evil);
  assert.equal(destination.text.split("\n").length, 2);
  assert.doesNotMatch(destination.text.slice(0, -1), /[\p{Cc}\u2028]/u);
  assert.equal(destination.records[0]?.msg, evil);
});

test("declared secrets do not appear: by name at any depth, by path, by value", () => {
  const { log, destination } = setup({ redactPaths: ["user.email"] });
  assert.equal(log.registerSecret("s3cr3t/val ue"), true);
  assert.equal(log.registerSecret("short"), false);
  log
    .child({ apiKey: "key-1" })
    .info({ user: { email: "a@b.c", deep: [{ Pass_Word: "pw-1" }] } }, "with s3cr3t/val ue in");
  log.error(new Error("postgres://u:s3cr3t%2Fval%20ue@host failed"));
  for (const secret of ["s3cr3t", "a@b.c", "pw-1", "key-1"]) {
    assert.equal(destination.text.includes(secret), false, secret);
  }
  assert.match(destination.text, /with \[redacted\] in/);
});

test("refuses redaction paths that cannot be", () => {
  assert.throws(
    () => setup({ redactPaths: ["a["] }),
    (thrown) => thrown instanceof StartError && thrown.reason === "LOGGER_UNUSABLE",
  );
});

test("a line above 64 KiB is cut, keeps what matters, and says how much is missing", () => {
  const { log, destination, last } = setup();
  log.registerSecret("supersecret");
  log.error(
    { big: "x".repeat(200_000), nested: { a: "y".repeat(9000) }, id: 7, err: new Error("boom") },
    "m".repeat(9000),
  );
  assert.ok(destination.text.length < 33_000);
  assert.deepEqual([last().level, last().service, last().id, last().err.message], ["error", "shop", 7, "boom"]);
  assert.equal(last().msg.length, 8192);
  assert.ok(last().truncatedChars > 150_000);
});

test("loggers may share one list of secrets", () => {
  const redactor = createRedactor();
  const { log, destination } = setup({ redactor });
  redactor.register("sharedsecret");
  log.info("sharedsecret");
  assert.equal(destination.text.includes("sharedsecret"), false);
});

test("the pretty format is for people: time, level, message, fields, stack below, controls visible", () => {
  const { log, destination } = setup({ format: "pretty" });
  const span = createTracer({ clock: createManualClock() }).start("work");
  log.with(span).warn({ id: 7, text: "a b", big: "z".repeat(600) }, "two\nlines \u001b[2J");
  const line = destination.text;
  assert.match(
    line,
    /^00:00:00\.000 WARN {2}shop two\\nlines \\u001b\[2J id=7 text="a b" big=z{500}… trace=[0-9a-f]{8}\n$/,
  );
  log.error(
    new AggregateError([new Error("left")], "all failed", {
      cause: error("internal", "deep\ninjected", { detail: 1 }),
    }),
    "x",
  );
  assert.match(destination.text, /\n {4}AggregateError: all failed\n {8}at /);
  assert.match(destination.text, /\n {4}caused by\n {6}/);
  assert.match(destination.text, /together with\n {6}Error: left/);
  assert.doesNotMatch(destination.text, /^injected/m);
});

test("the pretty format has colours only where asked for", () => {
  const { log, destination } = setup({ format: "pretty", colour: true });
  log.info("x");
  assert.ok(destination.text.includes("\u001b[32mINFO \u001b[0m"));
});

test("flush resolves when the destination has answered, or after 2 s", async () => {
  const { log, destination, clock } = setup();
  await log.flush();
  destination.stuck = true;
  let done = false;
  const waiting = log.flush().then(() => {
    done = true;
  });
  await clock.advance(1999);
  assert.equal(done, false);
  await clock.advance(1);
  await waiting;
  const broken = createLogger({
    destination: {
      write() {
        throw new Error("gone");
      },
    },
  });
  await broken.flush();
});

test("a child may say which service it is of, once", () => {
  const destination = createMemoryDestination();
  const log = createLogger({ destination, format: "json", fields: { app: "shop" } }).child({ service: "cart" });
  log.info({ service: "another" }, "hello");
  const [{ app, service, service_ } = {}] = destination.records;
  assert.deepEqual([app, service, service_], ["shop", "cart", "another"]);
});
