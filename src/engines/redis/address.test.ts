import assert from "node:assert/strict";
import { test } from "node:test";
import { StartError } from "../../base/index.ts";
import { parseAddress } from "./address.ts";

const server = {
  kind: "server",
  primaryName: undefined,
  sentinelPassword: undefined,
  tls: false,
  username: undefined,
  password: undefined,
  database: 0,
  prefix: "plinth",
  spread: 1,
};

test("reads everything that a URL can say", () => {
  assert.deepEqual(parseAddress(new URL("rediss://us%40er:p%3Ass@[::1]:7000/3?prefix=shop")), {
    ...server,
    nodes: [{ host: "::1", port: 7000 }],
    tls: true,
    username: "us@er",
    password: "p:ss",
    database: 3,
    prefix: "shop",
    shown: "rediss://[::1]:7000/3",
  });
});

test("has defaults for all but the host", () => {
  const nodes = [{ host: "cache", port: 6379 }];
  assert.deepEqual(parseAddress(new URL("redis://cache")), { ...server, nodes, shown: "redis://cache" });
});

test("reads sentinels and the name of their primary", () => {
  const url = "rediss+sentinel://u:p@a,b/main?nodes=c:26380,[::1]:5&sentinelPassword=s&database=2";
  assert.deepEqual(parseAddress(new URL(url)), {
    ...server,
    kind: "sentinel",
    nodes: [
      { host: "a", port: 26379 },
      { host: "b", port: 26379 },
      { host: "c", port: 26380 },
      { host: "::1", port: 5 },
    ],
    primaryName: "main",
    sentinelPassword: "s",
    tls: true,
    username: "u",
    password: "p",
    database: 2,
    shown: "rediss+sentinel://a,b/main",
  });
});

test("reads the nodes of a cluster, and into how many slots a namespace is spread", () => {
  const { kind, nodes, spread } = parseAddress(new URL("redis+cluster://a,b:7000?spread=8"));
  assert.deepEqual(
    [kind, nodes, spread],
    [
      "cluster",
      [
        { host: "a", port: 7000 },
        { host: "b", port: 7000 },
      ],
      8,
    ],
  );
});

for (const [text, says] of [
  ["redis+sentinel://:hunter2@a", /"" is no name of a primary, such as \/mymaster\. Write it as redis\+sentinel/],
  ["redis+sentinel://:hunter2@a/m?nodes=b", /"b" in "nodes" is no host:port/],
  ["redis+cluster://:hunter2@a/3", /a cluster has one database, 0\. Write it as redis\+cluster/],
  ["redis+cluster://:hunter2@a?spread=65", /spread must be 1 to 64, not "65"/],
  ["redis+cluster://:hunter2@a,,b", /names no host/],
] as const) {
  test(`refuses ${text.replace("hunter2", "…")} with the right form, and without the password`, () => {
    assert.throws(
      () => parseAddress(new URL(text)),
      (thrown) => thrown instanceof StartError && says.test(thrown.message) && !thrown.message.includes("hunter2"),
    );
  });
}

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
