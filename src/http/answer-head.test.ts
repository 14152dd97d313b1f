import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokenAnswer, chunked, parseAnswerHead, untilClose } from "./answer-head.ts";

const parse = (...lines: string[]) => parseAnswerHead(lines.join("\r\n"), false);

describe("the head of an answer", () => {
  test("tells its status and its headers, names in lower case, a list for those that come twice", () => {
    const { status, headers } = parse(
      "HTTP/1.1 404 Not Found",
      "X-A:  one\t ",
      "Set-Cookie: a",
      "set-cookie: b",
      "set-cookie: c",
      "x-empty:",
      `x-${"long".repeat(20)}: é`,
    );
    assert.equal(status, 404);
    assert.deepEqual(
      { ...headers },
      {
        "x-a": "one",
        "set-cookie": ["a", "b", "c"],
        "x-empty": "",
        [`x-${"long".repeat(20)}`]: "é",
      },
    );
    assert.deepEqual(parse("HTTP/1.1 200").headers, {});
  });

  for (const [lines, forHead, body, keepsAlive] of [
    [["HTTP/1.1 200 OK", "content-length: 12"], false, 12, true],
    [["HTTP/1.1 200 OK", "content-length: 0"], false, 0, true],
    [["HTTP/1.1 200 OK", "transfer-encoding: Chunked"], false, chunked, true],
    [["HTTP/1.1 200 OK"], false, untilClose, false],
    [["HTTP/1.1 200 OK", "content-length: 12"], true, 0, true],
    [["HTTP/1.1 200 OK"], true, 0, true],
    [["HTTP/1.1 204 No Content"], false, 0, true],
    [["HTTP/1.1 304 Not Modified", "content-length: 12"], false, 0, true],
    [["HTTP/1.1 103 Early Hints"], false, 0, true],
    [["HTTP/1.1 200 OK", "content-length: 1", "connection: keep-alive"], false, 1, true],
    [["HTTP/1.1 200 OK", "content-length: 1", "connection: x, Close"], false, 1, false],
    [["HTTP/1.1 200 OK", "content-length: 1", "connection: x", "connection: close"], false, 1, false],
    [["HTTP/1.0 200 OK", "content-length: 1"], false, 1, false],
  ] as const) {
    test(`says where its body ends, and whether the connection is kept: ${lines.join(", ")}${forHead ? " (HEAD)" : ""}`, () => {
      const head = parseAnswerHead(lines.join("\r\n"), forHead);
      assert.deepEqual([head.body, head.keepsAlive], [body, keepsAlive]);
    });
  }

  for (const lines of [
    ["no HTTP"],
    ["HTTP/2 200 OK"],
    ["HTTP/1.1 99 Low"],
    ["HTTP/1.1 600 High"],
    ["HTTP/1.1 2000 Long"],
    ["http/1.1 200 OK"],
    ["HTTP/1.1  200 OK"],
    ["HTTP/1.1 200 O\x00K"],
    ["HTTP/1.1 200 OK", "no colon"],
    ["HTTP/1.1 200 OK", "x-a : blank"],
    ["HTTP/1.1 200 OK", ": nameless"],
    ["HTTP/1.1 200 OK", "x-a: b", " folded"],
    ["HTTP/1.1 200 OK", "x a: b"],
    ["HTTP/1.1 200 OK", "__proto__: b"],
    ["HTTP/1.1 200 OK", "x-a: b\nx-c: d"],
    ["HTTP/1.1 200 OK", "x-a: b\rx-c: d"],
    ["HTTP/1.1 200 OK", "x-a: \x00"],
    ["HTTP/1.1 200 OK", ""],
    ["HTTP/1.1 200 OK", "content-length: 1", "content-length: 1"],
    ["HTTP/1.1 200 OK", "content-length: 1", "content-length: 2"],
    ["HTTP/1.1 200 OK", "content-length: -1"],
    ["HTTP/1.1 200 OK", "content-length: +1"],
    ["HTTP/1.1 200 OK", "content-length: 1, 1"],
    ["HTTP/1.1 200 OK", "content-length: 0x1"],
    ["HTTP/1.1 200 OK", "content-length: 1", "transfer-encoding: chunked"],
    ["HTTP/1.1 200 OK", "transfer-encoding: gzip, chunked"],
    ["HTTP/1.1 200 OK", "transfer-encoding: identity"],
    ["HTTP/1.1 200 OK", "transfer-encoding: chunked", "transfer-encoding: chunked"],
    ["HTTP/1.0 200 OK", "transfer-encoding: chunked"],
  ]) {
    test(`is none where two could read it differently: ${JSON.stringify(lines)}`, () => {
      assert.throws(() => parse(...lines), BrokenAnswer);
    });
  }

  test("may have headers that are called as what every object has", () => {
    const { headers } = parse("HTTP/1.1 200 OK", "constructor: a", "toString: b", "ToString: c");
    assert.deepEqual({ ...headers }, { constructor: "a", tostring: ["b", "c"] });
  });

  test("is read as well when there were very many names", () => {
    for (let i = 0; i < 1200; i++) assert.equal(parse("HTTP/1.1 200 OK", `X-${i}: a`).headers[`x-${i}`], "a");
  });
});
