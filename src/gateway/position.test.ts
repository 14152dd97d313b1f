import assert from "node:assert/strict";
import { after, test } from "node:test";
import { error } from "../base/index.ts";
import { method } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { ask, request, testGateway } from "./testing.ts";

const gateways: Gateway[] = [];
after(() => Promise.all(gateways.map((gateway) => gateway.stop())));

const seen: (string | undefined)[] = [];
const methods = {
  read: {
    method: method({ http: "GET /read", access: "public" }),
    handle: (_: unknown, context: { readonly knownPosition: { readonly token: string | undefined } | undefined }) => {
      seen.push(context.knownPosition?.token);
    },
  },
  write: {
    method: method({ http: "POST /write", access: "public" }),
    handle: (_: unknown, context: { readonly position: { advance(database: string, place: bigint): void } }) => {
      context.position.advance("db1", 255n);
    },
  },
  fail: {
    method: method({ http: "POST /fail", access: "public" }),
    handle: (_: unknown, context: { readonly position: { advance(database: string, place: bigint): void } }) => {
      context.position.advance("db1", 256n);
      throw error("aborted", "No.", { reason: "UNLUCKY" });
    },
  },
};

const open = async (): Promise<number> => {
  const gateway = testGateway(methods);
  gateways.push(gateway);
  return (await gateway.start()).port;
};

test("a position comes with the answer to a call that knows one, and only then", async () => {
  const port = await open();
  assert.equal((await ask(port, request("GET /read"))).headers["plinth-position"], undefined);
  const written = await ask(port, request("POST /write"));
  assert.deepEqual([written.status, written.headers["plinth-position"]], [204, "db1:ff"]);
  const failed = await ask(port, request("POST /fail"));
  assert.deepEqual([failed.status, failed.headers["plinth-position"]], [409, "db1:100"]);
});

test("a position that a client sends goes to the call; garbage is ignored", async () => {
  const port = await open();
  seen.length = 0;
  const answer = await ask(port, request("GET /read", { "Plinth-Position": "db1:ff,other:1" }));
  assert.equal(answer.headers["plinth-position"], "db1:ff,other:1");
  for (const garbage of ["", "x", "db1:zz", "db1:ff;other:1", `db1:${"f".repeat(25)}`, "a:1,".repeat(2_000), "é:1"]) {
    const { status, headers } = await ask(port, request("GET /read", { "Plinth-Position": garbage }));
    assert.deepEqual([status, headers["plinth-position"]], [204, undefined], garbage.slice(0, 40));
  }
  assert.deepEqual(seen.slice(0, 2), ["db1:ff,other:1", undefined]);
});
