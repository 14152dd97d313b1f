import assert from "node:assert/strict";
import { test } from "node:test";
import { lazyStream } from "./lazy-stream.ts";

test("ends its source when an item cannot be given on, and ends itself once", async () => {
  let isSourceOver = false;
  let ends = 0;
  async function* source() {
    try {
      for (;;) yield 1;
    } finally {
      isSourceOver = true;
    }
  }
  const stream = lazyStream({
    open: source,
    give(): never {
      throw new Error("unfit");
    },
    onEnd: () => ends++,
  });
  await assert.rejects(stream.next(), /unfit/);
  await stream.return?.();
  assert.deepEqual([isSourceOver, ends, (await stream.next()).done], [true, 1, true]);
});

test("tells a source that fails while it cleans up, unless the reader left while it waited", async () => {
  let release = () => {};
  async function* source() {
    try {
      yield 1;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: a source that does so is what this is about
      throw new Error("untidy");
    }
  }
  const open = () => lazyStream({ open: source, give: (item) => item });
  const calm = open();
  await calm.next();
  await assert.rejects(Promise.resolve(calm.return?.()), /untidy/);
  const hasty = open();
  await hasty.next();
  const waiting = hasty.next();
  await hasty.return?.();
  release();
  assert.equal((await waiting).done, true);
});

test("gives the items in order to a reader that asks ahead", async () => {
  const stream = lazyStream({
    async *open() {
      yield* [1, 2];
    },
    give: (item) => item as number,
  });
  const results = await Promise.all([stream.next(), stream.next(), stream.next()]);
  assert.deepEqual(
    results.map(({ value }) => value),
    [1, 2, undefined],
  );
});
