import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HttpError } from "../../wire/index.ts";
import { canonicalPath, compileRewrite, fixedPart } from "./path.ts";

const isRefused = (thrown: unknown): boolean =>
  thrown instanceof HttpError && thrown.status === 400 && thrown.reason === "URL_MALFORMED";

test("decodes what need not be encoded, and writes other escapes in capitals", () => {
  assert.equal(canonicalPath("/legacy/%61dmin/%7euser/caf%c3%a9%20x", false), "/legacy/admin/~user/caf%C3%A9%20x");
  assert.equal(canonicalPath("/legacy/a%252e%252e/b", false), "/legacy/a%252e%252e/b");
});

for (const path of [
  "/legacy/../admin",
  "/legacy/..",
  "/legacy/./admin",
  "/legacy/%2e%2e/admin",
  "/legacy/.%2E/admin",
  "/legacy/..%2fadmin",
  "/legacy/..%2Fadmin",
  "/legacy/x%2f..%2fadmin",
  "/legacy/..;/admin",
  "/legacy/..%3bx/admin",
  "/legacy\\..\\admin",
  "/legacy/%5c..%5cadmin",
  "/legacy/%00",
  "/legacy/%0d%0aX-Injected:%201",
  "/legacy/%7f",
  "/legacy/%zz",
  "/legacy/%2",
  "/legacy/é",
  "/legacy/a b",
]) {
  test(`refuses ${JSON.stringify(path)}, however loose the route is`, () => {
    assert.throws(() => canonicalPath(path, false), isRefused);
    assert.throws(() => canonicalPath(path, true), isRefused);
  });
}

for (const path of ["/legacy/a%2Fb", "/legacy/a%2fb", "/legacy//admin", "/legacy/admin;x=1", "/legacy/admin%3Bx"]) {
  test(`refuses ${path} unless the route takes loose segments`, () => {
    assert.throws(() => canonicalPath(path, false), isRefused);
    assert.equal(canonicalPath(path, true).toLowerCase(), path.toLowerCase());
  });
}

test("a path that passes has no segment that another reader takes for a step up", () => {
  const piece = fc.constantFrom("a", ".", "..", "%2e", "%2E", "%2f", "/", ";", "%3b", "%5c", "%25", "%61", "\\");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, loose) => {
      let path: string;
      try {
        path = canonicalPath(`/${pieces.join("")}`, loose);
      } catch {
        return;
      }
      assert.ok(!/(?:^|\/)\.\.?(?:\/|;|$)/.test(decodeURIComponent(path)), path);
    }),
  );
});

test("strips and rewrites the fixed part, and never leaves an empty path", () => {
  const strip = compileRewrite("/legacy/*", { strip: true });
  assert.equal(strip("/legacy/a/b"), "/a/b");
  assert.equal(strip("/legacy"), "/");
  assert.equal(strip("/legacy/"), "/");
  const rewrite = compileRewrite("/legacy/*", { rewrite: "/old/api/" });
  assert.equal(rewrite("/legacy/a"), "/old/api/a");
  assert.equal(rewrite("/legacy"), "/old/api");
  assert.equal(compileRewrite("/legacy/*", {})("/legacy/a"), "/legacy/a");
  assert.equal(compileRewrite("/*", { rewrite: "/v1" })("/a"), "/v1/a");
  assert.equal(fixedPart("/health"), "/health");
});
