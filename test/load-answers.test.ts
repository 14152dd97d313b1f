import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AnswerReader } from "../bench/load/answer-reader.ts";

const ok = "HTTP/1.1 200 OK\r\n";

/** How often an answer ended, with its status, when the bytes come in pieces of every size. */
function readInPieces(text: string, size: number): number[] {
  const reader = new AnswerReader();
  const statuses: number[] = [];
  for (let at = 0; at < text.length; at += size) {
    if (reader.read(Buffer.from(text.slice(at, at + size)))) statuses.push(reader.status);
  }
  return statuses;
}

describe("an answer", () => {
  const whole = {
    "with a length": [`${ok}content-length: 5\r\n\r\nhello`, 200],
    "with a body of nothing": [`${ok}Content-Length: 0\r\n\r\n`, 200],
    "without a body": ["HTTP/1.1 204 No Content\r\n\r\n", 204],
    "in chunks": [`${ok}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhe\r\no\r\n1\r\n!\r\n0\r\n\r\n`, 200],
    "in chunks, with trailers": [`${ok}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nsum: 1\r\n\r\n`, 200],
  } as const;
  for (const [name, [text, status]] of Object.entries(whole)) {
    test(`${name} ends once, in however many pieces it comes`, () => {
      for (let size = 1; size <= text.length; size++) assert.deepEqual(readInPieces(text, size), [status], `${size}`);
    });
  }

  test("after another is read as well", () => {
    const reader = new AnswerReader();
    for (const [text, status] of Object.values(whole)) {
      assert.equal(reader.read(Buffer.from(text)), true);
      assert.equal(reader.status, status);
    }
  });

  test("that says neither ends with the connection", () => {
    const reader = new AnswerReader();
    assert.equal(reader.read(Buffer.from(`${ok}connection: close\r\n\r\nhello`)), false);
    assert.equal(reader.isLast, true);
    assert.equal(reader.end(), true);
    assert.equal(reader.end(), false);
  });

  test("that is none is thrown", () => {
    assert.throws(() => new AnswerReader().read(Buffer.from("SSH-2.0-OpenSSH\r\n\r\n")), /no answer/);
  });
});
