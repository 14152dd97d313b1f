import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const documents = ["README.md", "examples/adopt/README.md"];

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

describe("the README", () => {
  test("its twenty lines are examples/hello/app.ts", () => {
    const [, code] = /```ts\n(.*?)```/s.exec(read("README.md")) ?? [];
    assert.equal(code, read("examples/hello/app.ts"));
  });

  test("its commands are scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...read("README.md").matchAll(/npm (?:run )?(start|test|run \w+)/g)].map(
      ([, name]) => name as string,
    );
    assert.ok(named.length > 0);
    for (const name of named) assert.ok(scripts[name], `npm ${name}`);
  });

  for (const document of documents) {
    test(`${document} links to what is there`, () => {
      const links = [...read(document).matchAll(/\]\(([^):]+)\)/g)].map(([, link]) => link as string);
      assert.ok(links.length > 0);
      const folder = dirname(join(root, document));
      assert.deepEqual(
        links.filter((link) => !existsSync(join(folder, link))),
        [],
      );
    });
  }
});
