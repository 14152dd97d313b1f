import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "../base/index.ts";
import { createLineWriter } from "./line-writer.ts";
import { createMemoryDestination } from "./memory-destination.ts";

test("writes a batch after its time, or when it is full", async () => {
  const clock = createManualClock();
  const writes: string[] = [];
  const destination = {
    write(text: string, done?: () => void) {
      writes.push(text);
      done?.();
    },
  };
  const writer = createLineWriter({ destination, clock, batchLength: 10 });
  writer.write("a\n");
  writer.write("b\n");
  await clock.advance(100);
  writer.write("0123456789\n");
  assert.deepEqual(writes, ["a\nb\n", "0123456789\n"]);
  assert.equal(writer.writtenCount, 3);
});

test("counts a batch that the destination failed on as dropped, and goes on", async () => {
  const clock = createManualClock();
  let fail: "throw" | "error" | "no" = "throw";
  const destination = {
    write(_: string, done?: (error?: Error | null) => void) {
      if (fail === "throw") throw new Error("closed");
      done?.(fail === "error" ? new Error("full") : null);
      done?.(null);
    },
  };
  const writer = createLineWriter({ destination, clock });
  writer.write("a\n");
  await writer.flush();
  fail = "error";
  writer.write("b\n");
  writer.write("c\n");
  await writer.flush();
  fail = "no";
  writer.write("d\n");
  await writer.flush();
  assert.deepEqual([writer.droppedCount, writer.writtenCount], [3, 1]);
});

test("a batch that fills while another is under way follows at once", async () => {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const writer = createLineWriter({ destination, clock, batchLength: 4 });
  destination.stuck = true;
  writer.write("aaaa\n");
  writer.write("bbbb\n");
  assert.equal(destination.text, "aaaa\n");
  destination.stuck = false;
  assert.equal(destination.text, "aaaa\nbbbb\n");
});

test("flush gives up after 2 s; after close lines go out at once", async () => {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const writer = createLineWriter({ destination, clock });
  destination.stuck = true;
  writer.write("a\n");
  const flushed = writer.flush();
  await clock.advance(2000);
  await flushed;
  destination.stuck = false;
  await writer.close();
  writer.write("late\n");
  assert.equal(destination.text, "a\nlate\n");
});

test("keeps its timer while lines wait behind a slow write", async () => {
  const clock = createManualClock();
  const destination = createMemoryDestination();
  const writer = createLineWriter({ destination, clock });
  destination.stuck = true;
  writer.write("a\n");
  await clock.advance(100);
  writer.write("b\n");
  await clock.advance(100);
  destination.stuck = false;
  await clock.advance(100);
  assert.equal(destination.text, "a\nb\n");
});
