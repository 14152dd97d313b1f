/** Services of others, called through a contract: what leaves, what comes back, what of it the gateway serves. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import * as z from "zod";
import { isError, StartError } from "../base/index.ts";
import { t } from "../schema/index.ts";
import { contract, external, method, secret, service, stream } from "../service/index.ts";
import { createMemoryDestination } from "../telemetry/testing.ts";
import { app } from "./app.ts";
import { buildModel } from "./model.ts";
import { createRuntime } from "./runtime.ts";
import { startTestApp } from "./testing.ts";

const parcels = contract("parcels", {
  methods: {
    quote: method({
      http: "GET /quotes/:country",
      request: t.Object({ country: t.String(), grams: t.Integer() }),
      response: t.Object({ cents: t.Integer() }),
      errors: ["not_found"],
      access: "public",
    }),
    book: method({ http: "POST /parcels", request: t.Object({ to: t.String() }), access: "public" }),
    weigh: method({
      http: "POST /weights",
      request: z.object({ grams: z.string().transform(Number), unit: z.string().default("g") }),
      access: "public",
    }),
    track: stream({
      http: "POST /tracks",
      request: t.Object({ id: t.Integer() }),
      item: t.Object({ n: t.Integer() }),
      access: "public",
    }),
  },
});
const desk = contract("desk", {
  methods: { send: method({ http: "POST /send", request: t.Object({ to: t.String() }), access: "public" }) },
});
const deskService = service(desk, {
  needs: { parcels },
  methods: { send: (request, { parcels }) => parcels.book(request) },
});

interface Received {
  readonly line: string;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}
const received: Received[] = [];
const outside = createServer(async (req, res) => {
  let body = "";
  for await (const chunk of req) body += String(chunk);
  received.push({ line: `${req.method} ${req.url}`, body, headers: req.headers });
  if (req.url?.startsWith("/quotes/GB"))
    return void res.setHeader("content-type", "application/json").end('{"cents":450,"internal":1}');
  if (req.url === "/tracks") return void res.setHeader("content-type", "application/x-ndjson").end('{"n":1}\n');
  if (req.method === "POST") return void res.writeHead(204).end();
  res.writeHead(404, { "content-type": "application/problem+json" });
  res.end(JSON.stringify({ status: 404, title: "Not Found", reason: "NOT_FOUND", detail: "no such country" }));
});
let url = "";
before(async () => {
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
});
after(() => outside.close());

const shipping = (options?: Parameters<typeof external>[2]) =>
  app({ name: "shipping", services: [external(parcels, url, options), deskService] });

test("an external service is called through its contract, and its problems come back as errors", async () => {
  received.length = 0;
  const running = await startTestApp(shipping({ headers: { "x-key": "k" } }));
  const client = running.client(parcels);
  try {
    assert.deepEqual(await client.quote({ country: "GB", grams: 5 }), { cents: 450 });
    assert.equal(await client.book({ to: "GB" }), undefined);
    await assert.rejects(client.quote({ country: "XX", grams: 5 }), (thrown) => isError(thrown, "not_found"));
    assert.deepEqual(
      received.map(({ line, headers }) => `${line} ${headers["x-key"]}`),
      ["GET /quotes/GB?grams=5 k", "POST /parcels k", "GET /quotes/XX?grams=5 k"],
    );
  } finally {
    await running.stop();
  }
});

for (const mode of ["test", "production"] as const) {
  test(`what leaves for outside is what the contract declares, as its caller gave it (${mode})`, async () => {
    received.length = 0;
    const runtime = await createRuntime(shipping(), {
      environment: { NODE_ENV: mode, PLINTH_LOG: "silent" },
      settings: { port: 0 },
      management: false,
      listen: false,
    });
    await runtime.start();
    const client = runtime.client(parcels);
    const secretive = { to: "GB", password: "hash" };
    await client.book(secretive);
    await client.weigh({ grams: "12", password: "hash" } as { grams: string });
    for await (const { n } of client.track({ id: 5, password: "hash" } as { id: number })) assert.equal(n, 1);
    assert.deepEqual(
      received.map(({ body }) => JSON.parse(body)),
      [{ to: "GB" }, { grams: "12" }, { id: 5 }],
    );
    if (mode === "test") {
      await assert.rejects(client.book({ to: 5 } as never), (thrown) => isError(thrown, "VALIDATION_FAILED"));
      await assert.rejects(
        client
          .track({ id: "x" } as never)
          [Symbol.asyncIterator]()
          .next(),
        (thrown) => isError(thrown, "VALIDATION_FAILED"),
      );
    }
    await assert.rejects(client.weigh({ grams: 7 } as never), (thrown) => isError(thrown, "VALIDATION_FAILED"));
    assert.equal(received.length, 3);
    await runtime.stop();
  });
}

test("a key for outside is a secret: needed at the start, sent along, in no log and no document", async () => {
  received.length = 0;
  const definition = shipping({ headers: { "x-key": secret("PARCELS_KEY", "from the carrier") } });
  const environment = { NODE_ENV: "test", PLINTH_LOG: "info" };
  await assert.rejects(createRuntime(definition, { environment }), (thrown) => {
    assert.ok(thrown instanceof StartError);
    assert.equal(thrown.reason, "SECRET_MISSING");
    assert.match(
      thrown.message,
      /parcels: headers\.x-key: the secret PARCELS_KEY \(from the carrier\) is not set; set it/,
    );
    return true;
  });
  const destination = createMemoryDestination();
  const runtime = await createRuntime(definition, {
    environment: { ...environment, PARCELS_KEY: "k-1234567890" },
    settings: { port: 0 },
    management: false,
    destination,
  });
  const { gateway } = await runtime.start();
  const sent = await fetch(`${gateway}/send`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"to":"GB"}',
  });
  assert.equal(sent.status, 204);
  assert.equal(received[0]?.headers["x-key"], "k-1234567890");
  runtime.log.warn("the key is k-1234567890");
  await runtime.stop();
  assert.match(destination.text, /the key is /);
  assert.doesNotMatch(destination.text, /k-1234567890/);
  assert.deepEqual(runtime.model.services[0]?.needs, [
    { name: "x-key", kind: "secret", target: "PARCELS_KEY", shardBy: null },
  ]);
});

test("its routes are the outside's own: our gateway serves them only when asked to", async () => {
  const hidden = await startTestApp(shipping());
  const shown = await startTestApp(shipping({ served: true }));
  try {
    assert.equal((await fetch(`${hidden.url}/quotes/GB?grams=5`)).status, 404);
    assert.deepEqual(await (await fetch(`${shown.url}/quotes/GB?grams=5`)).json(), { cents: 450 });
  } finally {
    await Promise.all([hidden.stop(), shown.stop()]);
  }
  assert.equal(buildModel(shipping()).services[0]?.methods[0]?.http, null);
  assert.equal(buildModel(shipping({ served: true })).services[0]?.methods[0]?.http?.path, "/quotes/:country");
});

test("an address with a user or a password in it is refused, without showing it", () => {
  assert.throws(
    () => external(parcels, "https://ada:hunter2@parcels.example"),
    (thrown) => {
      assert.ok(thrown instanceof StartError);
      assert.match(thrown.message, /external\(parcels\): url: it holds a user or a password.* put it into headers/);
      assert.doesNotMatch(thrown.message, /hunter2/);
      return true;
    },
  );
});
