import assert from "node:assert/strict";
import { after, afterEach, describe, test } from "node:test";
import type { JsonSchema } from "../../base/index.ts";
import { anonymous, CallScope, createDeadlines, isError, systemClock } from "../../base/index.ts";
import type { RpcClient, RpcServer } from "../../rpc/index.ts";
import { createRpcClient, createRpcServer } from "../../rpc/index.ts";
import type { FaultProxy } from "./proxy.ts";
import { createFaultProxy } from "./proxy.ts";
import { createRpcLine } from "./rpc-line.ts";
import type { FaultRule } from "./rule.ts";

const text: JsonSchema = { type: "object", required: ["text"], properties: { text: { type: "string" } } };
const deadlines = createDeadlines(systemClock);
const served: string[] = [];
const secret = "a secret for tests only";
const methods = ["first", "second"].map((id) => ({
  id,
  kind: "unary" as const,
  request: text,
  response: text,
  call: async (request: any) => {
    served.push(`${id} ${request.text}`);
    return request;
  },
}));

describe("faults on the line between two processes of an app", () => {
  let proxy: FaultProxy;
  let server: RpcServer;
  let client: RpcClient;
  const open = async (...rules: Omit<FaultRule, "name">[]): Promise<void> => {
    served.length = 0;
    server = createRpcServer({ name: "server", port: 0, secret, methods });
    const { port } = await server.start();
    proxy = await createFaultProxy({ target: { host: "127.0.0.1", port }, protocol: "rpc" });
    for (const rule of rules) await proxy.plan({ name: rule.match, ...rule });
    client = createRpcClient({ name: "test", addresses: [`127.0.0.1:${proxy.port}`], secret, methods });
  };
  const close = async (): Promise<void> => {
    await client?.close();
    await server?.stop();
    await proxy?.close();
  };
  afterEach(close);
  after(close);
  const call = async (id: string, said: string, remainingMs = 5000): Promise<string> => {
    const scope = new CallScope({
      principal: anonymous,
      deadline: systemClock.now() + remainingMs,
      caller: "test",
      deadlines,
    });
    try {
      return ((await client.call(id)({ text: said }, scope)) as { text: string }).text;
    } catch (thrown) {
      assert.ok(isError(thrown), String(thrown));
      return `${thrown.code} ${thrown.executed}`;
    }
  };

  test("a call whose answer is dropped ran; others on its connection are not touched", async () => {
    await open({ match: "^call 1$", action: "drop-reply" });
    const lost = call("second", "a", 300);
    assert.equal(await call("first", "b"), "b");
    assert.equal(await lost, "deadline_exceeded maybe");
    assert.equal(await call("second", "c"), "c");
    assert.deepEqual([...served].sort(), ["first b", "second a", "second c"]);
    assert.deepEqual(await proxy.hits(), [
      { rule: "^call 1$", action: "drop-reply", asked: "call 1", answer: "result" },
    ]);
    assert.equal((await proxy.counts()).connections, 1);
  });

  test("a call whose answer is cut may have run; one that is cut off before it is sent did not", async () => {
    await open({ match: "^call", action: "cut-reply" }, { match: "^call", action: "cut-request", nth: 2 });
    assert.equal(await call("first", "a"), "unavailable maybe");
    assert.equal(await call("first", "b"), "unavailable maybe");
    assert.equal(await call("first", "c"), "c");
    assert.deepEqual(served, ["first a", "first c"]);
  });

  test("an answer comes late", async () => {
    await open({ match: "^call 0", action: "delay-reply", delayMs: 80 });
    const startedAt = systemClock.now();
    assert.equal(await call("first", "a"), "a");
    assert.ok(systemClock.now() - startedAt >= 75);
  });
});

test("the reader of RPC lets an encrypted line pass unread", () => {
  let unread = 0;
  const line = createRpcLine({ judge: () => undefined, dropped() {}, bite() {}, unread: () => void unread++ });
  const hello = Buffer.from([0x16, 3, 1, 0, 5, 1, 2]);
  assert.deepEqual(line.up(hello), [{ kind: "bytes", bytes: hello }]);
  assert.deepEqual(line.down(hello), [{ kind: "bytes", bytes: hello }]);
  assert.equal(unread, 1);
});
