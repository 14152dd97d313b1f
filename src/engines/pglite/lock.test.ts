import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { StartError } from "../../base/index.ts";
import { lockDirectory } from "./lock.ts";

describe("the lock on a data directory", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plinth-lock-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const hold = (holder: object, number = 1): void =>
    writeFileSync(join(directory, `lock-${number}`), JSON.stringify({ host: hostname(), ...holder }));
  const refused = (pattern: RegExp): void =>
    assert.throws(
      () => lockDirectory(directory),
      (thrown) => {
        assert.ok(thrown instanceof StartError);
        assert.equal(thrown.reason, "DATA_DIRECTORY_IN_USE");
        assert.match(thrown.message, pattern);
        return true;
      },
    );
  /** A process number that nobody has any more. */
  const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

  test("refuses a directory that a live process holds, naming it and the remedy", () => {
    hold({ pid: process.ppid });
    refused(new RegExp(`in use by process ${process.ppid}: stop that process, choose another`));
  });

  test("refuses a second lock of its own process", () => {
    lockDirectory(directory);
    refused(/this very process/);
  });

  test("takes over from a dead process, and from a live one that only got its number", () => {
    hold({ pid: deadPid() });
    lockDirectory(directory).release();
    hold({ pid: process.ppid, startedAt: "long before" }, 8);
    lockDirectory(directory);
    assert.deepEqual(readdirSync(directory), ["lock-9"], "older locks are cleared away");
  });

  test("can be taken again after its release", () => {
    lockDirectory(directory).release();
    lockDirectory(directory).release();
    lockDirectory(directory);
    assert.equal(readdirSync(directory).length, 1);
  });

  test("refuses a directory that another machine holds, since it cannot be asked", () => {
    hold({ pid: deadPid(), host: "elsewhere" });
    refused(/on machine elsewhere: if it is gone, remove .*lock-1/);
  });

  test("takes over a lock file that was cut off while it was written", () => {
    writeFileSync(join(directory, "lock-3"), "");
    lockDirectory(directory);
    assert.match(readFileSync(join(directory, "lock-4"), "utf8"), new RegExp(`"pid":${process.pid}`));
  });

  test("passes on what the file system says when it cannot write", () => {
    assert.throws(() => lockDirectory(join(directory, "nowhere")), /ENOENT/);
  });
});
