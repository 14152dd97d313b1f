import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../../base/index.ts";
import { parseAddress } from "./address.ts";

test("reads everything that a URL can say", () => {
  assert.deepEqual(parseAddress(new URL("rediss://us%40er:p%3Ass@[::1]:7000/3?prefix=shop")), {
    host: "::1",
    port: 7000,
    tls: true,
    username: "us@er",
    password: "p:ss",
    database: 3,
    prefix: "shop",
    shown: "rediss://[::1]:7000/3",
  });
});

test("has defaults for all but the host", () => {
  assert.deepEqual(parseAddress(new URL("redis://cache")), {
    host: "cache",
    port: 6379,
    tls: false,
    username: undefined,
    password: undefined,
    database: 0,
    prefix: "plinth",
    shown: "redis://cache",
  });
});

for (const [text, says] of [
  ["redis:///0", /names no host/],
  ["redis://:hunter2@cache/main", /"\/main" is no database number/],
  ["redis://:hunter2@cache/0?prefix=a{b}", /the prefix must be/],
  ["redis://:hunter2@cache/0?timeout=5", /there is no option "timeout", only "prefix"/],
  ["redis://:hunter2%zz@cache/0", /the password holds a "%"/],
] as const) {
  test(`refuses ${says.source} with the right form, and without the password`, () => {
    assert.throws(
      () => parseAddress(new URL(text)),
      (thrown) =>
        thrown instanceof StartError &&
        says.test(thrown.message) &&
        /Write it as redis:\/\/user:password@host:6379\/0\?prefix=shop/.test(thrown.message) &&
        !thrown.message.includes("hunter2"),
    );
  });
}
