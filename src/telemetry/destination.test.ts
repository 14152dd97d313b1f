import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openOutput, outputLengthMax, standardOutput } from "./destination.ts";
import { createLogger } from "./logger.ts";

const withFile = async (run: (fd: number, read: () => string) => Promise<void> | void) => {
  const folder = mkdtempSync(join(tmpdir(), "plinth-"));
  const file = join(folder, "log");
  const fd = openSync(file, "w");
  try {
    await run(fd, () => readFileSync(file, "utf8"));
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

test("an output has everything, in order, once a flush has resolved", () =>
  withFile(async (fd, read) => {
    const destination = openOutput(fd);
    const log = createLogger({ destination, service: "shop" });
    for (let i = 0; i < 500; i++) log.info({ i }, "line é");
    assert.equal(read(), "");
    await log.flush();
    const lines = read().trim().split("\n");
    assert.deepEqual([lines.length, JSON.parse(lines[499] ?? "").i, destination.droppedCount], [500, 499, 0]);
    log.info("later");
    await log.flush();
    assert.match(read(), /later"}\n$/);
  }));

test("what waits can be written before returning", () =>
  withFile((fd, read) => {
    const destination = openOutput(fd);
    let answered = false;
    destination.write("last words\n", () => {
      answered = true;
    });
    destination.flushSync();
    assert.deepEqual([read(), answered], ["last words\n", true]);
  }));

test("a reader that is gone costs the log, not the process", async () => {
  const destination = openOutput(999_999);
  const errors: unknown[] = [];
  await new Promise<void>((resolve) => {
    destination.write("a\n", (error) => {
      errors.push(error);
      destination.write("b\n", (again) => {
        errors.push(again);
        resolve();
      });
    });
  });
  destination.write("c\n");
  destination.flushSync();
  assert.equal(errors.length, 2);
  assert.ok(errors.every((error) => error instanceof Error));
  assert.equal(destination.droppedCount, 3);
});

test("flushing to a descriptor that is none reports it", () => {
  const destination = openOutput(999_998);
  destination.write("a\n");
  destination.flushSync();
  assert.equal(destination.droppedCount, 1);
});

test("what is too much for a reader that stands still is dropped and counted", () => {
  const destination = openOutput(999_997);
  destination.write("x".repeat(outputLengthMax));
  let error: unknown;
  destination.write("y", (one) => {
    error = one;
  });
  assert.match(String(error), /stands still/);
  assert.equal(destination.droppedCount, 1);
});

test("standard output is one for the whole process", () => {
  assert.equal(standardOutput(), standardOutput());
});

const program = (source: string) => [
  "--conditions=plinth:source",
  "--import",
  "tsx",
  "--input-type=module",
  "--eval",
  `import { createLogger } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
   const log = createLogger();
   ${source}`,
];

test("a process that exits at once still writes its last lines to a pipe", () => {
  const result = spawnSync(process.execPath, program('log.info("one"); log.fatal("two"); process.exit(3);'), {
    encoding: "utf8",
  });
  assert.equal(result.status, 3, result.stderr);
  assert.deepEqual(
    result.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).msg),
    ["one", "two"],
  );
});

test("a process whose reader has gone ends of itself", async () => {
  const child = spawn(
    process.execPath,
    program('for (let i = 0; i < 50; i++) { log.info("x".repeat(5000)); await log.flush(); }'),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  child.stdout.destroy();
  const code = await new Promise((resolve) => child.on("exit", resolve));
  assert.equal(code, 0);
});
