import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokenAnswer } from "./answer-head.ts";
import { ChunkedBody } from "./chunked-body.ts";

/** What is in `text`, read in pieces of so many bytes, and what is left over. */
function read(text: string, pieceBytes: number): { body: string; isDone: boolean; rest: string } {
  const chunks = new ChunkedBody();
  const bytes = Buffer.from(text, "latin1");
  let body = "";
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    const piece = bytes.subarray(from, from + pieceBytes);
    for (let at = 0; at < piece.length; ) {
      if (chunks.isDone) return { body, isDone: true, rest: bytes.toString("latin1", from + at) };
      const found = chunks.read(piece, at);
      at = found.next;
      body += found.piece?.toString("latin1") ?? "";
    }
  }
  return { body, isDone: chunks.isDone, rest: "" };
}

describe("a chunked body", () => {
  for (const pieceBytes of [1, 2, 3, 7, 1000]) {
    test(`is the same however it is cut: ${pieceBytes} bytes at a time`, () => {
      const text = `5\r\nhello\r\n1;name=value\r\n \r\n00A;q="a b"\r\n0123456789\r\n0\r\nx-trailer: a\r\n\r\nnext`;
      assert.deepEqual(read(text, pieceBytes), { body: "hello 0123456789", isDone: true, rest: "next" });
    });
  }

  test("is not done before its last line", () => {
    assert.equal(read("5\r\nhello\r\n0\r\n", 1000).isDone, false);
    assert.deepEqual(read("0\r\n\r\n", 1), { body: "", isDone: true, rest: "" });
  });

  for (const text of [
    "\r\n",
    "g\r\n",
    "-1\r\n",
    "0x5\r\nhello\r\n",
    "1234567890abc\r\n",
    "5\nhello\r\n",
    "5\r\nhello!\r\n",
    "5\r\nhello\n",
    "0\r\n\n",
    "0\r\nno field\r\n\r\n",
    "0\r\na : b\r\n\r\n",
    "0\r\na: \x00\r\n\r\n",
    "5;a\x00\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "5 ;a\r\nhello\r\n",
    "5;\r\nhello\r\n",
    `5;${"a".repeat(2000)}`,
    `0\r\n${"x-a: b\r\n".repeat(3000)}`,
    `0\r\nx-a: ${"b".repeat(20_000)}`,
  ]) {
    test(`is broken: ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(() => read(text, 1000), BrokenAnswer);
    });
  }
});
