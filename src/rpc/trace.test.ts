import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Trace } from "../base/index.ts";
import { peers, scope, unary } from "./peer.fixture.ts";
import { protocolFeatures } from "./protocol.ts";

const all = peers();
after(() => all.close());

const words = [1, -2, 3, 2 ** 31 - 1, 5, -(2 ** 31)];
const text = "00-as-text-01";

function traceOf(ids: boolean): Trace {
  return {
    traceId: "t",
    spanId: "s",
    sampled: true,
    tracestate: "x=1",
    traceparent: () => text,
    ...(ids && {
      writeIds(into: Int32Array) {
        into.set(words);
        return 3;
      },
    }),
  };
}

describe("a trace", () => {
  const methods = [unary("echo", async (request) => request)];
  const seen: unknown[] = [];
  const call = async (trace: Trace) => {
    const server = await all.server(methods, {
      startTrace(_method, sent, tracestate) {
        seen.push(typeof sent === "object" ? [[...sent.words], sent.flags] : sent, tracestate);
        return { trace: undefined, end: () => {} };
      },
    });
    await all.client([server.address], methods).call("echo")({ text: "x" }, scope({ trace }));
    return seen.splice(0);
  };

  test("travels as numbers where both sides know them, and as text where there is only that", async () => {
    assert.deepEqual(await call(traceOf(true)), [[words, 3], "x=1"]);
    assert.deepEqual(await call(traceOf(false)), [text, "x=1"]);
  });

  test("travels as text to a peer of an older version", async () => {
    const features = protocolFeatures as string[];
    const at = features.indexOf("traces");
    features.splice(at, 1);
    try {
      assert.deepEqual(await call(traceOf(true)), [text, "x=1"]);
    } finally {
      features.splice(at, 0, "traces");
    }
  });
});
