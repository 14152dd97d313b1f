import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WholeRequest } from "./http-request.ts";
import { toRequestBytes } from "./request-bytes.ts";

const toBytes = (fields: Partial<WholeRequest>) =>
  toRequestBytes({ method: "GET", path: "/", headers: [], headTimeoutMs: 0, bodyTimeoutMs: 0, ...fields }, "a:1");

describe("a request", () => {
  test("has its headers as they are given, its own host, and the length of its body", () => {
    assert.equal(
      toBytes({ path: "/a?b=c", headers: ["X-A", "é\t", "x-a", "2"] }).text,
      "GET /a?b=c HTTP/1.1\r\nhost: a:1\r\nconnection: keep-alive\r\nX-A: é\t\r\nx-a: 2\r\n\r\n",
    );
    assert.equal(
      toBytes({ method: "POST", headers: { Host: "shop.example" }, body: "né" }).text,
      "POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nn\xc3\xa9",
    );
    assert.match(toBytes({ method: "PUT" }).text, /\r\ncontent-length: 0\r\n\r\n$/);
    assert.match(toBytes({ method: "GET", body: Buffer.from("a") }).text, /\r\ncontent-length: 1\r\n\r\na$/);
    assert.doesNotMatch(toBytes({ method: "DELETE", headers: ["content-length", "0"] }).text, /content-length/);
  });

  test("has a large body beside its head", () => {
    const body = Buffer.alloc(20_000);
    const bytes = toBytes({ method: "POST", headers: ["content-length", "20000"], body });
    assert.equal(bytes.body, body);
    assert.match(bytes.text, /\r\ncontent-length: 20000\r\n\r\n$/);
  });

  for (const [what, fields] of [
    ["a method with a blank", { method: "GET /" }],
    ["a path with a blank", { path: "/a b" }],
    ["a path that begins with no slash", { path: "http://b/" }],
    ["a path beyond Latin-1", { path: "/€" }],
    ["a line end in a value", { headers: ["x-a", "b\r\nx-c: d"] }],
    ["a value beyond Latin-1", { headers: ["x-a", "€"] }],
    ["a value that is none", { headers: { "x-a": undefined } as never }],
    ["a line end in a name", { headers: ["x-a\r\nx-b", "c"] }],
    ["no name", { headers: ["", "c"] }],
    ["two ends", { headers: ["Transfer-Encoding", "chunked"] }],
    ["an expectation", { headers: ["expect", "100-continue"] }],
    ["another length", { method: "POST", headers: ["content-length", "5"], body: "four" }],
    ["a length that is none", { method: "POST", headers: ["content-length", "4, 4"], body: "four" }],
    ["a length of nothing", { headers: ["content-length", "4"] }],
    ["what is the connection's", { headers: ["Connection", "close"] }],
  ] as const) {
    test(`cannot be sent with ${what}`, () => {
      assert.throws(() => toBytes(fields), TypeError);
    });
  }

  test("is the same when there were very many names", () => {
    for (let i = 0; i < 1200; i++) assert.match(toBytes({ headers: [`X-${i}`, "a"] }).text, /\r\nX-\d+: a\r\n/);
    assert.match(toBytes({ headers: [`X-${"a".repeat(100)}`, "a"] }).text, /a: a\r\n/);
  });
});
