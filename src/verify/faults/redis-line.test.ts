import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, test } from "node:test";
import fc from "fast-check";
import { newId, systemClock } from "../../base/index.ts";
import redis from "../../engines/redis/index.ts";
import type { Step } from "./pipe.ts";
import type { FaultProxy } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";
import { createRedisLine } from "./redis-line.ts";
import type { FaultRule } from "./rule.ts";
import { createRuleBook } from "./rule.ts";

const url = process.env.PLINTH_TEST_REDIS_URL;
const skip = url ? false : "PLINTH_TEST_REDIS_URL is not set";

describe("faults on a line to Redis", { skip }, () => {
  let proxy: FaultProxy;
  const open = async (): Promise<void> => {
    const { hostname: host, port } = new URL(url as string);
    proxy = await createFaultProxy({ target: { host, port: Number(port || 6379) }, protocol: "redis" });
  };
  afterEach(() => proxy.close());
  /** Sends inline commands, and answers what came until nothing more does. */
  const talk = async (...lines: string[]): Promise<string> => {
    const socket = connect(proxy.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {
      text += "!";
    });
    await once(socket, "connect");
    for (const line of lines) socket.write(`${line}\r\n`);
    await systemClock.sleep(150);
    socket.destroy();
    return text;
  };

  test("a command whose reply is cut was carried out", async () => {
    await open();
    const key = `faults:${newId()}`;
    await proxy.plan({ name: "cut", match: `^SET ${key}`, action: "cut-reply" });
    assert.equal(await talk(`set ${key} 1 EX 60`), "!");
    assert.equal(await talk(`get ${key}`, `del ${key}`), "$1\r\n1\r\n:1\r\n");
    assert.deepEqual(await proxy.hits(), [{ rule: "cut", action: "cut-reply", asked: `SET ${key}`, answer: "+OK" }]);
  });

  test("one command of many is delayed, its reply swallowed, or cut off before it is sent", async () => {
    await open();
    await proxy.plan({ name: "slow", match: "^ECHO slow", action: "delay-reply", delayMs: 80 });
    const startedAt = systemClock.now();
    assert.equal(await talk("echo a", "echo slow", "echo c"), "$1\r\na\r\n$4\r\nslow\r\n$1\r\nc\r\n");
    assert.ok(systemClock.now() - startedAt >= 80);
    await proxy.plan({ name: "lost", match: "^ECHO b", action: "lose-reply" });
    assert.equal(await talk("echo a", "echo b", "echo c"), "$1\r\na\r\n");
    await proxy.plan({ name: "never", match: "^ECHO x", action: "cut-request" });
    assert.equal(await talk("echo x"), "!");
    assert.deepEqual(
      (await proxy.hits()).map(({ rule, answer }) => [rule, answer]),
      [
        ["slow", "$4"],
        ["lost", "$1"],
        ["never", undefined],
      ],
    );
  });

  test("the cache of an app sees a delayed fill", async () => {
    await open();
    const driver = redis.ports.cache(new URL(proxy.address(url as string)));
    await driver.open();
    await proxy.plan({ name: "fill", match: ".", action: "delay-reply", delayMs: 60, nth: 1, times: 1 });
    const startedAt = systemClock.now();
    await driver.getMany(`faults-${newId()}`, ["a"]);
    assert.ok(systemClock.now() - startedAt >= 55);
    await driver.close();
    assert.equal((await proxy.hits()).length, 1);
  });
});

describe("the reader of Redis' protocol", () => {
  const reader = (...rules: Omit<FaultRule, "name">[]) => {
    const book = createRuleBook("redis");
    for (const rule of rules) book.add({ name: rule.match, ...rule });
    let unread = 0;
    const line = createRedisLine({ judge: book.judge, dropped() {}, bite() {}, unread: () => void unread++ });
    return { line, book, unread: () => unread };
  };
  const command = (...words: string[]) =>
    Buffer.from(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
  const textOf = (steps: readonly Step[]) =>
    steps.map((step) => (step.kind === "bytes" ? step.bytes.toString() : `<${step.kind}>`)).join("");

  test("tells replies of every kind apart", () => {
    const replies = [
      "+OK\r\n",
      "$-1\r\n",
      "$0\r\n\r\n",
      "*-1\r\n",
      "*2\r\n*1\r\n:1\r\n$3\r\na\r\n\r\n",
      "%1\r\n+k\r\n*0\r\n",
      "|1\r\n+ttl\r\n:3\r\n#t\r\n",
      "_\r\n",
      "!5\r\nERR a\r\n",
      ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
      "~1\r\n,1.5\r\n",
    ];
    const { line, book } = reader({ match: "LAST", action: "lose-reply" });
    const own = replies.filter((reply) => !reply.startsWith(">"));
    for (const reply of own.slice(1)) line.up(command("get", reply));
    line.up(command("last", "x"));
    assert.equal(textOf(line.down(Buffer.from(replies.join("")))), `${replies.slice(0, -1).join("")}<silence>`);
    assert.equal(book.hits[0]?.answer, "~1");
  });

  test("stops reading in modes without one reply for each command", () => {
    for (const words of [["monitor"], ["subscribe", "a"], ["client", "reply", "off"]]) {
      const { line, unread } = reader({ match: "GET", action: "cut-request" });
      line.up(command(...words));
      assert.equal(textOf(line.up(command("get", "a"))), command("get", "a").toString());
      assert.equal(textOf(line.down(Buffer.from("+OK\r\n"))), "+OK\r\n");
      assert.equal(unread(), 1);
    }
  });

  test("goes on beside subscriptions over RESP3, which are pushes", () => {
    const { line, unread } = reader({ match: "GET", action: "lose-reply" });
    line.up(Buffer.concat([command("hello", "3"), command("subscribe", "a"), command("get", "a")]));
    const answers = "%0\r\n>3\r\n+subscribe\r\n+a\r\n:1\r\n$1\r\nx\r\n";
    assert.equal(textOf(line.down(Buffer.from(answers))), `${answers.slice(0, -7)}<silence>`);
    assert.equal(unread(), 0);
  });

  test("gives up on a line that never ends", () => {
    const { line, unread } = reader({ match: "GET", action: "lose-reply" });
    const bytes = Buffer.alloc(200_000, "a");
    assert.equal(textOf(line.up(bytes)).length, bytes.length);
    assert.equal(unread(), 1);
  });

  test("passes every byte on and finds every command, whatever the pieces are", () => {
    const word = fc.oneof(fc.string({ maxLength: 12 }), fc.constant("x".repeat(70_000)));
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 50 }),
        (commands, size) => {
          const asked: string[] = [];
          const line = createRedisLine({
            judge: (text) => void asked.push(text),
            dropped() {},
            bite() {},
            unread() {},
          });
          const names = commands.map((words, i) => [`C${i}`, ...words]);
          const bytes = Buffer.concat(names.map((words) => command(...words)));
          const step = size < 10 ? Math.max(size, Math.ceil(bytes.length / 500)) : size * 100;
          let passed = "";
          for (let at = 0; at < bytes.length; at += step) passed += textOf(line.up(bytes.subarray(at, at + step)));
          assert.equal(asked.length, commands.length);
          assert.ok(asked.every((text, i) => text.startsWith(`C${i} `)));
          assert.equal(passed.length, bytes.toString().length);
        },
      ),
      { numRuns: 40, seed: 7 },
    );
  });
});
