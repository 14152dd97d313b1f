import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { StartError } from "../base/index.ts";
import { crashPointsFromEnvironment, noCrashPoint } from "./crash-points.ts";

describe("crash points", () => {
  it("does nothing when none is set", () => {
    assert.equal(crashPointsFromEnvironment({}), noCrashPoint);
    noCrashPoint("inbox.committed");
  });

  it("refuses a point that does not exist, and a passage that never comes", () => {
    for (const PLINTH_CRASH_POINT of ["nowhere", "inbox.committed:0", "inbox.committed:x"]) {
      assert.throws(
        () => crashPointsFromEnvironment({ PLINTH_CRASH_POINT }),
        (thrown) =>
          thrown instanceof StartError &&
          thrown.reason === "CRASH_POINT_UNKNOWN" &&
          /outbox\.committed/.test(thrown.message),
      );
    }
  });

  it("kills the process at the passage that was named, not before", () => {
    const module = new URL("./crash-points.ts", import.meta.url).href;
    const code = `const { crashPointsFromEnvironment } = await import(${JSON.stringify(module)});
      const point = crashPointsFromEnvironment(process.env);
      point("outbox.committed"); point("inbox.committed"); process.stdout.write("once ");
      point("inbox.committed"); process.stdout.write("twice");`;
    const child = spawnSync(
      process.execPath,
      ["--conditions=plinth:source", "--import", "tsx", "--input-type=module", "-e", code],
      { env: { ...process.env, PLINTH_CRASH_POINT: "inbox.committed:2" }, encoding: "utf8" },
    );
    assert.equal(child.stdout, "once ");
    assert.equal(child.signal, "SIGKILL");
  });
});
