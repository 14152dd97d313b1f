import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { systemClock } from "../../base/index.ts";
import { parseAddress } from "./address.ts";
import { RedisConnection } from "./connection.ts";
import { until } from "./redis-server.fixture.ts";
import { Removals } from "./removals.ts";
import type { Answer } from "./server.fixture.ts";
import { startFakeServer } from "./server.fixture.ts";

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;

/** Publishing as a server does it, for one who listens. */
function publishing(): Answer {
  let listener: Socket | undefined;
  return ([name, ...args], socket) => {
    if (name === "subscribe") {
      listener = socket;
      return args.map((channel, i) => `*3\r\n${bulk("subscribe")}${bulk(channel)}:${i + 1}\r\n`).join("");
    }
    if (name !== "PUBLISH") return "+OK\r\n";
    listener?.write(`*3\r\n${bulk("message")}${args.map(bulk).join("")}`);
    return ":1\r\n";
  };
}

for (const [when, silentAt] of [
  ["when it is subscribed to", "subscribe"],
  ["before it is greeted", "CLIENT"],
] as const) {
  test(`a feed that falls silent ${when} is given up within 2 s, and made again`, async () => {
    const answer = publishing();
    const server = await startFakeServer(answer);
    const connection = new RedisConnection(parseAddress(server.url));
    await connection.open();
    const removals = new Removals({ connection, prefix: "p" });
    let isWatching = false;
    removals.watch({
      onWatching: () => {
        isWatching = true;
      },
      onLost: () => {},
      onRemoved: () => {},
    });
    server.answer = (command, socket) => (command[0] === silentAt ? undefined : answer(command, socket));
    try {
      removals.open();
      await until(() => server.connectionCount === 2);
      const since = systemClock.now();
      await until(() => server.connectionCount > 2, 10_000);
      assert.ok(systemClock.now() - since < 8000, "2 s of silence, up to 2 s of waiting, and a slow machine");
      assert.equal(isWatching, false);
      server.answer = answer;
      await until(() => isWatching);
    } finally {
      await removals.close();
      await connection.close();
      await server.close();
    }
  });
}
