import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createManualClock, isError } from "../base/index.ts";
import { createHistory, readHistory } from "./history.ts";

const folder = mkdtempSync(join(tmpdir(), "plinth-history-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newPath = (): string => join(folder, `${++files}.ndjson`);
const refused = (reason: string) => (thrown: unknown) => isError(thrown, reason);

describe("a history", () => {
  test("gives back each operation with its end, in the order in which they began; what has no end is unknown", async () => {
    const clock = createManualClock(1000);
    const path = newPath();
    const history = createHistory(path, { clock });
    const one = history.begin({ process: "p1", action: "order", key: "é\n", value: { n: 1 } });
    const two = history.begin({ process: "p2", action: "order", key: "b" });
    await clock.advance(5);
    two.fail("REFUSED");
    one.ok(["x"]);
    history.begin({ process: "p1", action: "read" }).unknown("lost");
    history.begin({ process: "p1", action: "read" });
    const { entryCount, hash } = history.close();
    const read = await readHistory(path);
    assert.equal(entryCount, 7);
    assert.equal(read.hash, hash);
    assert.equal(hash, createHash("sha256").update(readFileSync(path)).digest("hex"));
    assert.deepEqual(
      read.operations.map(({ process, key, value, outcome, result, reason, beganAt, endedAt }) => [
        process,
        key,
        value,
        outcome,
        result ?? reason,
        beganAt,
        endedAt,
      ]),
      [
        ["p1", "é\n", { n: 1 }, "ok", ["x"], 1000, 1005],
        ["p2", "b", undefined, "fail", "REFUSED", 1000, 1005],
        ["p1", undefined, undefined, "unknown", "lost", 1005, 1005],
        ["p1", undefined, undefined, "unknown", undefined, 1005, undefined],
      ],
    );
  });

  test("is there line by line, and survives the end of its writer in the middle of one", async () => {
    const path = newPath();
    const history = createHistory(path);
    const operation = history.begin({ process: "p", action: "a" });
    assert.equal((await readHistory(path)).operations[0]?.outcome, "unknown");
    operation.ok();
    appendFileSync(path, '{"type":"invoke","id":2,"proc');
    const { operations } = await readHistory(path);
    assert.deepEqual(
      operations.map(({ outcome }) => outcome),
      ["ok"],
    );
    history.close();
  });

  test("refuses more than it may hold, a second end, anything after its close, and a file that exists", () => {
    const path = newPath();
    const history = createHistory(path, { entriesMax: 2, lineBytesMax: 200 });
    const operation = history.begin({ process: "p", action: "a" });
    assert.throws(() => history.begin({ process: "p", action: "x".repeat(300) }), refused("HISTORY_FULL"));
    operation.ok();
    assert.throws(() => operation.ok(), /has ended already/);
    assert.throws(() => history.begin({ process: "p", action: "a" }), refused("HISTORY_FULL"));
    history.close();
    assert.equal(history.close().entryCount, 2);
    assert.throws(() => createHistory(path), /EEXIST/);
    const closed = createHistory(newPath());
    closed.close();
    assert.throws(() => closed.begin({ process: "p", action: "a" }), refused("HISTORY_FULL"));
  });

  test("is refused when it is damaged or too large", async () => {
    const begun = '{"type":"invoke","id":1,"process":"p","action":"a","at":1}\n';
    for (const text of [
      "no json\n",
      '{"type":"ok","id":1}\n',
      '{"type":"other","id":1}\n',
      begun + begun,
      '{"type":"invoke","id":1}\n',
    ]) {
      const path = newPath();
      writeFileSync(path, text);
      await assert.rejects(readHistory(path), refused("HISTORY_DAMAGED"), text);
    }
    const path = newPath();
    writeFileSync(path, begun + begun.replace('"id":1', '"id":2'));
    await assert.rejects(readHistory(path, { entriesMax: 1 }), refused("HISTORY_FULL"));
    writeFileSync(path, "x".repeat(500));
    await assert.rejects(readHistory(path, { lineBytesMax: 100 }), refused("HISTORY_FULL"));
  });
});
