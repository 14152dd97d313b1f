/**
 * Holds the code to the house rules, in an ordinary test. Each check is a function over files as data; each is proven
 * on small wrong trees before it may judge the real one.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readTree } from "../scripts/source/tree.ts";
import { banChecks } from "./tidy/bans.ts";
import { type Check, show } from "./tidy/check.ts";
import { cycleChecks } from "./tidy/cycles.ts";
import { floorChecks } from "./tidy/floors.ts";
import { linkChecks } from "./tidy/links.ts";
import { nameChecks } from "./tidy/names.ts";
import { packageChecks } from "./tidy/packages.ts";
import { sizeChecks } from "./tidy/sizes.ts";
import { writtenChecks } from "./tidy/written.ts";

const checks: readonly Check[] = [
  ...floorChecks,
  ...cycleChecks,
  ...packageChecks,
  ...nameChecks,
  ...banChecks,
  ...sizeChecks,
  ...writtenChecks,
  ...linkChecks,
];

const repository = readTree();

describe("the repository", () => {
  for (const check of checks) {
    test(check.name, () => {
      const problems = check.find(repository).map(show);
      assert.equal(problems.length, 0, `\n${problems.join("\n")}`);
    });
  }
});

describe("the checks themselves", () => {
  for (const check of checks) {
    test(`can fail: ${check.name}`, () => {
      assert.ok(check.bad.length > 0, "a check without a wrong tree proves nothing");
      for (const { files, says } of check.bad) {
        assert.match(
          check
            .find(new Map(Object.entries(files)))
            .map(show)
            .join("\n"),
          says,
        );
      }
    });
    test(`can pass: ${check.name}`, () => {
      assert.deepEqual(check.find(new Map(Object.entries(check.good))).map(show), []);
    });
  }

  test("the repository was read: a check that saw nothing would pass as well", () => {
    assert.ok(repository.has("src/base/index.ts") && repository.has("scripts/floors.ts"));
    assert.ok(![...repository.keys()].some((path) => path.includes("node_modules/")));
  });
});
