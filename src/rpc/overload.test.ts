import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { isError, systemClock, systemRandom } from "../base/index.ts";
import { createLane, createOverload } from "../resilience/index.ts";
import { gate, peers, scope, stream, unary, until } from "./peer.fixture.ts";

const all = peers();
after(() => all.close());

describe("a server that is asked for more than it can do", () => {
  const guard = () => createOverload({ clock: systemClock, random: systemRandom, inFlightMax: 1, loopDelay: () => 0 });

  test("hears how much a call matters, and takes what it does not hear for critical", async () => {
    const seen: number[] = [];
    const methods = [
      unary("echo", async (request, context) => {
        seen.push(context.criticality, context.child().criticality);
        return request;
      }),
    ];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    for (const criticality of [0, 1, 2, 3]) await client.call("echo")({ text: "x" }, scope({ criticality }));
    await client.call("echo")({ text: "x" }, scope());
    assert.deepEqual(seen, [0, 0, 1, 1, 2, 2, 3, 3, 2, 2]);
  });

  test("lets a call wait, and refuses it after 100 ms: nothing ran, and nobody is to try again", async () => {
    const overload = guard();
    const begun = gate();
    const held = gate();
    let runs = 0;
    const methods = [
      unary("hold", async (request) => {
        runs++;
        begun.open();
        await held.promise;
        return request;
      }),
    ];
    const server = await all.server(methods, { overload });
    const client = all.client([server.address], methods);
    const first = client.call("hold")({ text: "1" }, scope());
    await begun.promise;
    const startedAt = systemClock.now();
    await assert.rejects(client.call("hold")({ text: "2" }, scope()), {
      code: "unavailable",
      reason: "OVERLOADED",
      executed: "no",
      retry: "never",
    });
    assert.ok(systemClock.now() - startedAt >= 90);
    assert.deepEqual([runs, server.stats.refusedCalls, server.stats.inFlight], [1, 1, 1]);
    const third = client.call("hold")({ text: "3" }, scope());
    await until(() => overload.stats.queued === 1);
    held.open();
    assert.deepEqual([await first, await third], [{ text: "1" }, { text: "3" }]);
    await until(() => overload.stats.inFlight === 0);
  });

  test("ends a call whose caller has gone while it waited", async () => {
    const overload = guard();
    const begun = gate();
    const held = gate();
    let runs = 0;
    const methods = [
      unary("hold", async (request) => {
        runs++;
        begun.open();
        await held.promise;
        return request;
      }),
    ];
    const server = await all.server(methods, { overload });
    const client = all.client([server.address], methods);
    const first = client.call("hold")({ text: "1" }, scope());
    await begun.promise;
    const leaving = scope();
    const second = client.call("hold")({ text: "2" }, leaving);
    await until(() => overload.stats.queued === 1);
    leaving.cancel(Object.assign(new Error("gone"), {}) as never);
    await assert.rejects(second);
    // The server hears of it before it hears that there is room.
    await new Promise((resolve) => setTimeout(resolve, 30));
    held.open();
    await first;
    await until(() => server.stats.inFlight === 0);
    assert.deepEqual([runs, overload.stats.inFlight, overload.stats.queued], [1, 0, 0]);
  });

  test("asks for room for a stream when it begins, and for no longer", async () => {
    const overload = guard();
    const held = gate();
    const methods = [
      stream("feed", async function* () {
        yield { n: 1 };
        await held.promise;
      }),
    ];
    const server = await all.server(methods, { overload });
    const client = all.client([server.address], methods);
    const items: unknown[] = [];
    const reading = (async () => {
      for await (const item of client.stream("feed")({ n: 1 }, scope())) items.push(item);
    })();
    await until(() => items.length === 1);
    assert.equal(overload.stats.inFlight, 0);
    const pass = overload.tryEnter(createLane(), 2, systemClock.now());
    const refused = (async () => {
      for await (const _item of client.stream("feed")({ n: 1 }, scope())) assert.fail("it ran");
    })();
    await assert.rejects(refused, (thrown) => isError(thrown, "OVERLOADED"));
    pass?.release();
    held.open();
    await reading;
  });
});
