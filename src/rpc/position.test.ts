import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { error, isError } from "../base/index.ts";
import { peers, scope, stream, unary } from "./peer.fixture.ts";
import { protocolFeatures } from "./protocol.ts";

const all = peers();
after(() => all.close());

describe("a position", () => {
  const seen: (string | undefined)[] = [];
  const methods = [
    unary("read", async (request, context) => {
      seen.push(context.knownPosition?.token);
      return request;
    }),
    unary("write", async (request, context) => {
      context.child().position.advance("a", BigInt(request.text));
      if (request.text === "13") throw error("aborted", "It wrote, and failed.", { reason: "UNLUCKY" });
      return request;
    }),
    stream("writes", async function* (request, context) {
      for (let n = 1; n <= request.n; n++) {
        context.position.advance("a", BigInt(100 * n));
        yield { n };
      }
      context.position.advance("b", 1n);
    }),
  ];
  const connect = async () => all.client([(await all.server(methods)).address], methods);

  test("goes to the callee, and comes back when the call advanced it, also from one that failed", async () => {
    const client = await connect();
    const caller = scope();
    await client.call("read")({ text: "x" }, caller);
    assert.equal(caller.knownPosition, undefined, "nothing is made for a call that knows of none");
    await client.call("write")({ text: "7" }, caller.child());
    assert.equal(caller.position.token, "a:7");
    await client.call("read")({ text: "x" }, caller.child());
    await assert.rejects(client.call("write")({ text: "13" }, caller), (thrown) => isError(thrown, "UNLUCKY"));
    assert.equal(caller.position.token, "a:d");
    caller.position.demandCurrent();
    await client.call("read")({ text: "x" }, caller);
    assert.deepEqual(seen.splice(0), [undefined, "a:7", "a:d,*"]);
  });

  test("comes with the item of a stream that must not be seen without it", async () => {
    const client = await connect();
    const caller = scope();
    const tokens: unknown[] = [];
    for await (const item of client.stream("writes")({ n: 2 }, caller)) tokens.push([item.n, caller.position.at("a")]);
    assert.equal(tokens.length, 2);
    for (const [n, place] of tokens as [number, bigint][]) assert.ok(place >= BigInt(100 * n));
    assert.equal(caller.position.token, "a:c8,b:1");
  });

  test("is neither sent to nor told a peer of an older version, which is called as before", async () => {
    const features = protocolFeatures as string[];
    const at = features.indexOf("positions");
    features.splice(at, 1);
    try {
      const client = await connect();
      const caller = scope();
      caller.position.advance("a", 1n);
      assert.deepEqual(await client.call("read")({ text: "x" }, caller), { text: "x" });
      assert.deepEqual(seen.splice(0), [undefined]);
      assert.deepEqual(await client.call("write")({ text: "7" }, caller), { text: "7" });
      for await (const _ of client.stream("writes")({ n: 3 }, caller));
      assert.equal(caller.position.token, "a:1");
    } finally {
      features.splice(at, 0, "positions");
    }
  });
});
