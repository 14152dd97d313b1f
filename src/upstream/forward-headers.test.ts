import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Trace } from "../base/index.ts";
import { answerHeaders, requestHeaders } from "./forward-headers.ts";
import { headersOf, requestOf } from "./upstream.fixture.ts";

const plain = { keepsHost: false, keepsLength: false };

function sent(headers: readonly string[], fields: Parameters<typeof requestOf>[0] = {}, options = plain) {
  const pairs = requestHeaders(requestOf({ headers, ...fields }), options);
  assert.ok(pairs);
  return headersOf({ headers: pairs });
}

describe("the headers of a request", () => {
  test("that belong to the client's connection end with it, whatever their case", () => {
    const got = sent([
      ...["Connection", "close, X-Secret , x-other,content-length", "X-Secret", "1", "x-other", "2", "X-Kept", "3"],
      ...[
        "Keep-Alive",
        "timeout=5",
        "TE",
        "trailers",
        "Trailer",
        "x",
        "Transfer-Encoding",
        "chunked",
        "Upgrade",
        "h2c",
      ],
      ...["Proxy-Authorization", "Basic x", "Proxy-Connection", "x", "HTTP2-Settings", "x", "Expect", "100-continue"],
    ]);
    assert.deepEqual(Object.keys(got).sort(), [
      "forwarded",
      "via",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-kept",
    ]);
  });

  test("that only a proxy may say are said anew", () => {
    const got = sent([
      ...[
        "X-Forwarded-For",
        "6.6.6.6",
        "x-forwarded-proto",
        "http",
        "X-Forwarded-Host",
        "evil",
        "X-Real-IP",
        "6.6.6.6",
      ],
      ...["Forwarded", "for=6.6.6.6", "X-Forwarded-Port", "1", "Host", "evil"],
    ]);
    assert.deepEqual(got, {
      via: "1.1 plinth",
      "x-forwarded-for": "192.0.2.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "shop.example",
      forwarded: "for=192.0.2.7;host=shop.example;proto=https",
    });
  });

  test("name the client and the trusted proxies in the order of travel, IPv6 quoted", () => {
    const client = { addresses: ["2001:db8::1", "10.0.0.1"], proto: "http" as const, host: "a.example:81" };
    const got = sent([], { client });
    assert.equal(got["x-forwarded-for"], "2001:db8::1, 10.0.0.1");
    assert.equal(got.forwarded, 'for="[2001:db8::1]";host="a.example:81";proto=http, for=10.0.0.1');
    assert.equal(
      sent([], { client: { ...client, host: "" } }).forwarded,
      'for="[2001:db8::1]";proto=http, for=10.0.0.1',
    );
  });

  test("hold the client's host where the upstream wants it", () => {
    assert.equal(sent(["host", "other"], {}, { keepsHost: true, keepsLength: false }).host, "shop.example");
  });

  test("hold the length only of a body that is sent as it comes", () => {
    assert.equal(sent(["content-length", "5"])["content-length"], undefined);
    assert.equal(sent(["content-length", "5"], {}, { keepsHost: false, keepsLength: true })["content-length"], "5");
  });

  test("carry our trace instead of the client's", () => {
    const trace: Trace = { traceId: "", spanId: "", sampled: true, tracestate: "a=b", traceparent: () => "00-x-y-01" };
    const theirs = ["traceparent", "theirs", "tracestate", "c=d"];
    const got = sent(theirs, { trace });
    assert.deepEqual([got.traceparent, got.tracestate], ["00-x-y-01", "a=b"]);
    assert.equal(sent(theirs, { trace: { ...trace, tracestate: undefined } }).tracestate, undefined);
    assert.equal(sent(theirs).traceparent, "theirs");
  });

  test("say by Via where they passed, and not more than ten times here", () => {
    assert.equal(sent(["Via", "1.0 fred", "via", "1.1 plinth"]).via, "1.0 fred, 1.1 plinth, 1.1 plinth");
    const often = (count: number) => Array.from({ length: count }, () => "1.1 plinth").join(", ");
    assert.ok(sent(["via", often(9)]).via);
    assert.equal(requestHeaders(requestOf({ headers: ["via", often(10)] }), plain), undefined);
  });
});

test("the headers of an answer lose what belongs to the target's connection, and keep each of several", () => {
  const pairs = answerHeaders({
    connection: "keep-alive, X-Inner",
    "keep-alive": "timeout=5",
    "x-inner": "1",
    "transfer-encoding": "chunked",
    trailer: "x",
    upgrade: "h2c",
    "proxy-authenticate": "Basic",
    "set-cookie": ["a", "b"],
    "content-length": "5",
    "x-none": undefined,
  });
  assert.deepEqual(pairs, ["set-cookie", "a", "set-cookie", "b", "content-length", "5"]);
});
