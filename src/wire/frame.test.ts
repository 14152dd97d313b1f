import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { beginFrame, endFrame, FrameReader } from "./frame.ts";
import { Writer } from "./writer.ts";

function frame(writer: Writer, kind: number, text: string, limitBytes?: number): void {
  const mark = beginFrame(writer, kind, limitBytes);
  writer.string(text);
  endFrame(writer, mark, limitBytes);
}

test("frames come back whole, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3000 }), { maxLength: 12 }), fc.array(fc.nat(500)), (texts, cuts) => {
      const writer = new Writer();
      texts.forEach((text, kind) => {
        frame(writer, kind, text);
      });
      const stream = writer.take();
      const got: [number, string][] = [];
      const reader = new FrameReader((kind, payload) => {
        got.push([kind, payload.string()]);
        payload.finish();
      });
      let at = 0;
      for (const cut of cuts) {
        if (at < stream.length) reader.feed(stream.subarray(at, at + cut + 1));
        at += cut + 1;
      }
      if (at < stream.length) reader.feed(stream.subarray(at));
      assert.deepEqual(
        got,
        texts.map((text, kind) => [kind, text]),
      );
    }),
    { numRuns: 200 },
  );
});

test("a length above the limit is refused before a byte of the frame is kept", () => {
  const reader = new FrameReader(() => assert.fail("no frame"), 100);
  assert.throws(() => reader.feed(Buffer.from([101, 0, 0, 0])), {
    reason: "FRAME_TOO_LARGE",
    details: { limitBytes: 100 },
  });
  assert.throws(() => new FrameReader(() => {}).feed(Buffer.from([255, 255, 255, 255])), { reason: "FRAME_TOO_LARGE" });
  assert.throws(() => new FrameReader(() => {}).feed(Buffer.from([0, 0, 0, 0, 1])), { reason: "WIRE_MALFORMED" });
});

test("a message above the limit is refused and leaves no trace", () => {
  const writer = new Writer();
  frame(writer, 1, "before");
  const kept = writer.length;
  for (const byteCount of [200, 100_000]) {
    const mark = writer.length;
    assert.throws(
      () => {
        try {
          frame(writer, 2, "x".repeat(byteCount), 100);
        } catch (thrown) {
          writer.rewind(mark);
          throw thrown;
        }
      },
      { reason: "FRAME_TOO_LARGE", executed: "no" },
    );
    assert.equal(writer.length, kept);
  }
  frame(writer, 3, "after");
  const kinds: number[] = [];
  new FrameReader((kind) => kinds.push(kind)).feed(writer.take());
  assert.deepEqual(kinds, [1, 3]);
});

test("what was taken is never written to again", () => {
  const writer = new Writer();
  const taken: [Buffer, string][] = [];
  for (let i = 0; i < 300; i++) {
    const text = `${i}-`.repeat((i * 37) % 900);
    frame(writer, 1, text);
    taken.push([writer.take(), text]);
  }
  for (const [bytes, text] of taken) {
    new FrameReader((_, payload) => assert.equal(payload.string(), text)).feed(bytes);
  }
});

test("the buffer that chunks come in may be the same each time", () => {
  const texts: string[] = [];
  const reader = new FrameReader((_, payload) => texts.push(payload.string()));
  const given = ["first customer", "other customer"];
  let shared: Buffer | undefined;
  for (const text of given) {
    const writer = new Writer();
    frame(writer, 1, text);
    const bytes = writer.take();
    shared ??= Buffer.alloc(bytes.length);
    bytes.copy(shared);
    reader.feed(shared);
  }
  assert.deepEqual(texts, given);
});
