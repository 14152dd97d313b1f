import assert from "node:assert/strict";
import { test } from "node:test";
import { buildModel } from "../../app/index.ts";
import { sampleApp } from "../sample.fixture.ts";
import { exampleOf } from "./example.ts";
import reference from "./index.ts";

const model = buildModel(sampleApp);
const page = reference.generate(model)[0]?.content ?? "";

test("the page names every method with a route, and no other", () => {
  for (const method of model.services[0]?.methods ?? []) {
    assert.equal(page.includes(`id="things.${method.name}"`), method.http !== null, method.name);
  }
});

test("the page asks no other host for anything and runs no script", () => {
  assert.doesNotMatch(page, /<script|<link|<img|@import|url\(|src=/i);
  assert.deepEqual(
    [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1]).filter((href) => !href?.startsWith("#")),
    ["/openapi.json"],
  );
});

test("what comes from the Model is escaped", () => {
  assert.match(page, /One thing &#60;with marks&#62;/);
  assert.doesNotMatch(page, /<with marks>/);
});

test("fields, limits, errors and a command to try are shown", () => {
  assert.match(page, /parts\[\]\.name/);
  assert.match(page, /characters at most 10/);
  assert.match(page, /THING_FROZEN/);
  assert.match(page, /curl -X PUT -H &#34;Authorization: Bearer \$TOKEN&#34;/);
  assert.match(page, /&#34;\$API\/things\//);
  assert.doesNotMatch(page, /localhost/);
});

test("an example of a schema is its own example, its default, or the least that fits", () => {
  assert.deepEqual(
    exampleOf({ type: "object", required: ["a"], properties: { a: { type: "integer", minimum: 3 }, b: {} } }),
    { a: 3 },
  );
  assert.equal(exampleOf({ type: "string", default: "d" }), "d");
  assert.equal(exampleOf({ enum: ["e", "f"] }), "e");
  assert.equal(exampleOf({ const: 4 }), 4);
  assert.equal(exampleOf({ anyOf: [{ type: "boolean" }] }), true);
  assert.equal(exampleOf({ type: ["null", "string"] }), null);
  assert.deepEqual(exampleOf({ type: "array", items: { type: "string", format: "email" } }), ["ada@example.com"]);
  assert.deepEqual(exampleOf({ type: "array" }), []);
  assert.equal(exampleOf({ examples: ["x"] } as never), "x");
});
