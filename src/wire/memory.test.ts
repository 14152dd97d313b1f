import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beginFrame, endFrame, FrameReader } from "./frame.ts";
import { Writer } from "./writer.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

function heapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test("a short text that is kept holds little of its message", () => {
  const count = 20_000;
  const kept: string[] = [];
  const reader = new FrameReader((_, payload) => {
    kept.push(payload.string());
  });
  const writer = new Writer();
  const rest = "some other text ".repeat(4);
  const before = heapBytes();
  for (let i = 0; i < count; i++) {
    const mark = beginFrame(writer, 1);
    writer.string(`id-${String(i).padStart(23, "0")}`);
    for (let k = 0; k < 30; k++) writer.string(rest);
    endFrame(writer, mark);
    reader.feed(Buffer.from(writer.take()));
  }
  const bytesEach = (heapBytes() - before) / count;
  assert.equal(kept.length, count);
  assert.ok(bytesEach < 500, `${Math.round(bytesEach)} bytes for each`);
});
