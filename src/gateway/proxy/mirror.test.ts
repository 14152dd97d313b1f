import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import type { TestContext } from "node:test";
import { test } from "node:test";
import type { ManualClock } from "../../base/index.ts";
import { createManualClock, createSeededRandom, systemClock } from "../../base/index.ts";
import type { Exchange } from "../exchange.ts";
import { silent } from "../testing.ts";
import { createMirror } from "./mirror.ts";
import { outsideSystem, plainUpstream } from "./proxy.fixture.ts";

/** Copies go to a shadow; gives how often it was asked and how many of its answers have ended. */
async function shadowed(t: TestContext, handle: RequestListener) {
  const seen = { asked: 0, closed: 0 };
  const target = await outsideSystem(t, (req, res) => {
    seen.asked++;
    res.on("close", () => seen.closed++);
    handle(req, res);
  });
  const clock: ManualClock = createManualClock();
  const mirror = createMirror(
    { to: "shadow", percent: 100 },
    {
      route: "/a",
      upstreams: new Map([["shadow", plainUpstream("shadow", target)]]),
      clock,
      random: createSeededRandom(1),
      log: silent(),
      metrics: undefined,
    },
  );
  const copy = (count: number): void => {
    for (let i = 0; i < count; i++) {
      mirror.copy({} as Exchange, {
        method: "GET",
        path: "/a",
        headers: [],
        body: undefined,
        client: { addresses: [], proto: "http", host: "a" },
        deadline: 0,
        onCancel: () => () => {},
      });
    }
  };
  const until = async (isSo: () => boolean): Promise<void> => {
    for (let i = 0; i < 100 && !isSo(); i++) await systemClock.sleep(20);
  };
  return { seen, clock, copy, until };
}

test("a copy is under way until its answer has ended, and ends at its deadline", async (t) => {
  const { seen, clock, copy, until } = await shadowed(t, (_req, res) => void res.write("begun"));
  copy(70);
  await until(() => seen.asked === 64);
  await systemClock.sleep(50);
  copy(10);
  await systemClock.sleep(50);
  assert.deepEqual([seen.asked, seen.closed], [64, 0]);
  clock.advance(10_001);
  await until(() => seen.closed === 64);
  assert.equal(seen.closed, 64);
  copy(1);
  await until(() => seen.asked === 65);
  assert.equal(seen.asked, 65);
});

test("of a copy's answer no more is read than a mebibyte, and nothing of a stream", async (t) => {
  const { seen, copy, until } = await shadowed(t, (_req, res) => {
    if (seen.asked === 1) {
      res.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
      return;
    }
    const more = (): void => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536)));
    };
    res.on("drain", more);
    more();
  });
  copy(1);
  await until(() => seen.closed === 1);
  copy(1);
  await until(() => seen.closed === 2);
  assert.deepEqual([seen.asked, seen.closed], [2, 2]);
});
