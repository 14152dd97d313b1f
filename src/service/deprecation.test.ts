import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deprecation } from "./deprecation.ts";
import { compileDeprecation, deprecationHeaders } from "./deprecation.ts";
import { compileVersions } from "./version.ts";

const problemsOf = (declared: Deprecation): string[] => {
  const problems: string[] = [];
  compileDeprecation("a.b", declared, problems);
  return problems;
};
const headersOf = (declared: Deprecation) => {
  const plan = compileDeprecation("a.b", declared, []);
  assert.ok(plan);
  return deprecationHeaders(plan);
};

test("since is a Structured Field date, sunset an HTTP date", () => {
  assert.deepEqual(headersOf({ since: "2023-06-30T23:59:59Z", sunset: "2026-12-31" }), [
    "deprecation",
    "@1688169599",
    "sunset",
    "Thu, 31 Dec 2026 00:00:00 GMT",
  ]);
});

test("links name the page and the successor, one relation each", () => {
  const headers = headersOf({
    since: "2026-01-01",
    sunset: "2027-01-01",
    link: "https://shop.example/v2",
    successor: "/v2/products",
  });
  assert.equal(
    headers.at(-1),
    '<https://shop.example/v2>; rel="deprecation"; type="text/html", <https://shop.example/v2>; rel="sunset"; type="text/html", </v2/products>; rel="successor-version"',
  );
});

test("a sunset before the deprecation is refused, the same moment is not", () => {
  assert.match(
    problemsOf({ since: "2026-02-01", sunset: "2026-01-31" }).join(),
    /a\.b: deprecated\.sunset: .* is before/,
  );
  assert.deepEqual(problemsOf({ since: "2026-02-01", sunset: "2026-02-01" }), []);
});

for (const since of ["soon", "2026-13-01", "01.02.2026", "2026-02-01 10:00", "1688169599", ""]) {
  test(`${JSON.stringify(since)} is no date`, () => {
    assert.match(problemsOf({ since }).join(), /deprecated\.since: .* is no date; write "2026-11-01"/);
  });
}

for (const link of [
  "http://shop.example",
  "javascript:alert(1)",
  'https://a.example/>; rel="x',
  "https://a.example/ b",
  "v2",
]) {
  test(`${JSON.stringify(link)} is no link`, () => {
    assert.equal(problemsOf({ since: "2026-01-01", link }).length, 1);
    assert.equal(problemsOf({ since: "2026-01-01", successor: link }).length, 1);
  });
}

test("versions are whole numbers, each once, ascending", () => {
  const problems: string[] = [];
  assert.deepEqual(compileVersions("a", [2, 1], problems), [1, 2]);
  assert.deepEqual(compileVersions("a", 3, problems), [3]);
  assert.deepEqual(compileVersions("a", undefined, problems), []);
  assert.equal(problems.length, 0);
  compileVersions("a", [1, 1], problems);
  compileVersions("a", 0, problems);
  compileVersions("a", 1.5, problems);
  compileVersions("a", [], problems);
  assert.equal(problems.length, 4);
});
