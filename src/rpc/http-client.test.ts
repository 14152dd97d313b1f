import assert from "node:assert/strict";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { after, describe, test } from "node:test";
import type { Trace } from "../base/index.ts";
import { error, isError, systemClock } from "../base/index.ts";
import { stringifyProblem, toProblem } from "../wire/index.ts";
import type { HttpClientOptions } from "./http-client.ts";
import { createHttpClient } from "./http-client.ts";
import { compileHttpMessage } from "./http-message.ts";
import { gate, scope } from "./peer.fixture.ts";

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(baseUrl: string, options: Partial<HttpClientOptions> = {}) {
  const client = createHttpClient({ baseUrl, ...options });
  closing.unshift(() => client.close());
  return client;
}

const asIs = (value: unknown) => value;
const quote = { id: "shipping.quote", verb: "POST", path: "/orders/:orderId/quotes" };
const read = { id: "shipping.read", verb: "GET", path: "/x" };

async function bodyOf(req: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of req) body += chunk;
  return body;
}

function json(res: ServerResponse, value: unknown, status = 200, type = "application/json"): void {
  res.writeHead(status, { "content-type": type }).end(JSON.stringify(value));
}

function reasonIs(reason: string, executed: string) {
  return (thrown: unknown) => {
    assert.ok(isError(thrown), String(thrown));
    assert.deepEqual([thrown.reason, thrown.executed], [reason, executed]);
    return true;
  };
}

describe("a message", () => {
  const cases: [string, string, unknown, string, string | undefined][] = [
    ["POST", "/a/:b/c", { b: "x y/ü", d: 1, e: { f: [1] } }, "/a/x%20y%2F%C3%BC/c", '{"d":1,"e":{"f":[1]}}'],
    ["PUT", "/a/:b", { b: 7 }, "/a/7", undefined],
    ["POST", "/a", {}, "/a", "{}"],
    ["POST", "/a", undefined, "/a", "{}"],
    ["POST", "/a", { raw: new Uint8Array([1, 2]), buf: Buffer.from("a") }, "/a", '{"raw":"AQI=","buf":"YQ=="}'],
    ["GET", "/a", {}, "/a", undefined],
    [
      "GET",
      "/a/:b",
      { b: true, q: "1&2", list: ["x", 2], o: { k: 1 }, none: null, gone: undefined },
      "/a/true?q=1%262&list=x&list=2&o=%7B%22k%22%3A1%7D",
      undefined,
    ],
    ["DELETE", "/a", { raw: new Uint8Array([255]) }, "/a?raw=%2Fw%3D%3D", undefined],
  ];
  for (const [verb, path, request, wantedPath, body] of cases) {
    test(`${verb} ${path} ${JSON.stringify(request)} goes to ${wantedPath}`, () => {
      assert.deepEqual(compileHttpMessage({ id: "x", verb, path })(request), { path: wantedPath, body });
    });
  }

  test("with a path parameter that would lead elsewhere is refused", () => {
    const toMessage = compileHttpMessage({ id: "x", verb: "GET", path: "/a/:b" });
    for (const b of ["", ".", "..", undefined, null])
      assert.throws(() => toMessage({ b }), { reason: "HTTP_PATH_INVALID", executed: "no" });
  });
});

describe("a call", () => {
  test("carries message, trace, key and headers, and gives the parsed answer", async () => {
    let seen: IncomingMessage | undefined;
    let body = "";
    const url = await serve(async (req, res) => {
      seen = req;
      body = await bodyOf(req);
      json(res, { priceCents: 490 }, 201, "application/hal+json; charset=utf-8");
    });
    const client = clientOf(`${url}/v1/`, {
      headers: () => ({ authorization: "Bearer t", accept: "application/hal+json" }),
    });
    const trace: Trace = { traceId: "", spanId: "", sampled: true, tracestate: "a=b", traceparent: () => "00-x-y-01" };
    const context = scope({ trace, idempotencyKey: 'k"1' });
    const answer = await client.call(quote, (value) => ({ parsed: value }))({ orderId: "o 1", kg: 2 }, context);
    assert.deepEqual(answer, { parsed: { priceCents: 490 } });
    assert.ok(seen);
    assert.deepEqual([seen.method, seen.url, body], ["POST", "/v1/orders/o%201/quotes", '{"kg":2}']);
    const { traceparent, tracestate, authorization, accept } = seen.headers;
    assert.deepEqual(
      [traceparent, tracestate, authorization, accept],
      ["00-x-y-01", "a=b", "Bearer t", "application/hal+json"],
    );
    assert.deepEqual([seen.headers["idempotency-key"], seen.headers["content-type"]], ['"k\\"1"', "application/json"]);
  });

  test("with an empty answer gives undefined to parse", async () => {
    const url = await serve((_, res) => res.writeHead(204).end());
    assert.equal(await clientOf(url).call(read, (value) => value ?? "nothing")({}, scope()), "nothing");
    assert.equal(await clientOf(url).call({ ...read, verb: "HEAD" }, asIs)({}, scope()), undefined);
  });

  test("answered with a problem throws the error that it means", async () => {
    const problem = toProblem(
      error("failed_precondition", "No carrier.", { reason: "NO_CARRIER", executed: "no", details: { zip: "1" } }),
    );
    const url = await serve((req, res) => {
      if (req.url === "/ours")
        res.writeHead(400, { "content-type": "application/problem+json" }).end(stringifyProblem(problem));
      else if (req.url === "/html") res.writeHead(404).end("<html>");
      else if (req.url === "/busy") res.writeHead(503, { "retry-after": "7" }).end();
      else if (req.url === "/vast") res.writeHead(500).end("x".repeat(200_000));
      else res.writeHead(302, { location: "/ours" }).end();
    });
    const failing = async (path: string) => {
      try {
        await clientOf(url).call({ ...read, path }, asIs)({}, scope());
      } catch (thrown) {
        assert.ok(isError(thrown));
        return [thrown.code, thrown.reason, thrown.message, thrown.retry, thrown.executed];
      }
      assert.fail("it did not fail");
    };
    assert.deepEqual(await failing("/ours"), ["failed_precondition", "NO_CARRIER", "No carrier.", "never", "no"]);
    assert.deepEqual((await failing("/html")).slice(0, 2), ["not_found", "NOT_FOUND"]);
    assert.deepEqual(await failing("/busy"), [
      "unavailable",
      "UNAVAILABLE",
      "The called service failed.",
      7000,
      "maybe",
    ]);
    assert.deepEqual((await failing("/vast")).slice(0, 2), ["internal", "INTERNAL"]);
    assert.equal((await failing("/elsewhere"))[0], "unknown");
  });

  test("answered with what the contract does not say is our side's failure, not the caller's", async () => {
    const url = await serve((req, res) => {
      if (req.url === "/html") res.writeHead(200, { "content-type": "text/html" }).end("<html>");
      else if (req.url === "/broken") res.writeHead(200, { "content-type": "application/json" }).end('{"a":');
      else json(res, { text: "x".repeat(5000) });
    });
    const client = clientOf(url, { limits: { bodyBytes: 1000 } });
    for (const path of ["/html", "/broken", "/vast"]) {
      await assert.rejects(
        client.call({ ...read, path }, asIs)({}, scope()),
        reasonIs("HTTP_ANSWER_UNREADABLE", "yes"),
      );
    }
    const refuse = () => {
      throw error("invalid_argument", "no");
    };
    await assert.rejects(clientOf(url).call(read, refuse)({}, scope()), reasonIs("HTTP_ANSWER_UNREADABLE", "yes"));
  });

  test("that cannot connect has executed no: refused, unknown, and slow to connect", async () => {
    const server = createTcpServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    for (const url of [`http://127.0.0.1:${port}`, "http://nowhere.invalid"]) {
      await assert.rejects(clientOf(url).call(read, asIs)({}, scope()), reasonIs("HTTP_UNREACHABLE", "no"));
    }
    const plain = await serve((_, res) => json(res, {}));
    const tls = clientOf(plain.replace("http:", "https:"));
    await assert.rejects(tls.call(read, asIs)({}, scope()), reasonIs("HTTP_UNREACHABLE", "no"));
  });

  test("that loses its connection has executed maybe", async () => {
    const url = await serve((req) => req.socket.destroy());
    await assert.rejects(
      clientOf(url).call(quote, asIs)({ orderId: "1" }, scope()),
      reasonIs("HTTP_CONNECTION_LOST", "maybe"),
    );
    const half = await serve((_, res) => {
      res.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      res.write('{"a"');
      setImmediate(() => res.destroy());
    });
    await assert.rejects(clientOf(half).call(read, asIs)({}, scope()), reasonIs("HTTP_CONNECTION_LOST", "maybe"));
  });

  test("ends with its deadline, before or after it was sent", async () => {
    const gone = gate();
    const url = await serve((req) => req.once("close", gone.open));
    const client = clientOf(url, { limits: { connections: 1 } });
    const first = client.call(read, asIs)({}, scope({ remainingMs: 150 }));
    // Waits for the one connection, which the first has.
    const second = client.call(read, asIs)({}, scope({ remainingMs: 100 }));
    await Promise.all([
      assert.rejects(first, reasonIs("DEADLINE_EXCEEDED", "maybe")),
      assert.rejects(second, reasonIs("DEADLINE_EXCEEDED", "no")),
    ]);
    await gone.promise;
    await assert.rejects(client.call(read, asIs)({}, scope({ remainingMs: 0 })), reasonIs("DEADLINE_EXCEEDED", "no"));
  });

  test("that is cancelled hangs up on the service", async () => {
    const [started, gone] = [gate(), gate()];
    const url = await serve((_, res) => {
      started.open();
      res.once("close", gone.open);
    });
    const context = scope();
    const call = assert.rejects(clientOf(url).call(read, asIs)({}, context), { message: "No longer wanted." });
    await started.promise;
    context.cancel(error("cancelled", "No longer wanted."));
    await call;
    await gone.promise;
    await assert.rejects(clientOf(url).call(read, asIs)({}, context), { message: "No longer wanted." });
  });

  test("above the limit of calls in flight is refused", async () => {
    const url = await serve(() => {});
    const client = clientOf(url, { limits: { calls: 2 } });
    const context = scope();
    const held = [1, 2].map(() =>
      client
        .call(read, asIs)({}, context)
        .catch(() => {}),
    );
    await assert.rejects(client.call(read, asIs)({}, scope()), reasonIs("HTTP_CLIENT_BUSY", "no"));
    context.cancel(error("cancelled", "Enough."));
    await Promise.all(held);
    const last = client.call(read, asIs)({}, scope());
    await systemClock.sleep(20);
    await Promise.all([client.close(), assert.rejects(last, (thrown) => isError(thrown, "unavailable"))]);
    await assert.rejects(client.call(read, asIs)({}, scope()), reasonIs("HTTP_CLOSED", "no"));
  });

  test("with a header that HTTP does not allow fails before it is sent", async () => {
    const url = await serve((_, res) => json(res, {}));
    const client = clientOf(url, { headers: () => ({ "x-a": "b\r\nx-evil: 1" }) });
    await assert.rejects(client.call(read, asIs)({}, scope()), reasonIs("HTTP_REQUEST_UNSENDABLE", "no"));
    const failing = clientOf(url, {
      headers: () => {
        throw new Error("no key");
      },
    });
    await assert.rejects(failing.call(read, asIs)({}, scope()), { code: "internal" });
    await assert.rejects(client.call({ ...read, path: "/:a" }, asIs)({}, scope()), reasonIs("HTTP_PATH_INVALID", "no"));
  });

  test("a wrong address stops the start", () => {
    for (const baseUrl of ["nowhere", "ftp://a"])
      assert.throws(() => createHttpClient({ baseUrl }), { reason: "HTTP_ADDRESS_WRONG" });
  });
});

describe("a stream", () => {
  async function collect(url: string, options: Partial<HttpClientOptions> = {}, parse = asIs) {
    const items: unknown[] = [];
    let failure: unknown;
    try {
      for await (const item of clientOf(url, options).stream(read, parse)({ n: 1 }, scope())) items.push(item);
    } catch (thrown) {
      failure = thrown;
    }
    return { items, failure };
  }
  const answering = (type: string, chunks: readonly (string | Buffer)[]) =>
    serve(async (_, res) => {
      res.writeHead(200, { "content-type": type });
      for (const chunk of chunks) {
        res.write(chunk);
        await systemClock.sleep(2);
      }
      res.end();
    });
  const problem = stringifyProblem(toProblem(error("data_loss", "The disk is gone.", { reason: "DISK_GONE" })));

  test("of NDJSON arrives item by item, however it is cut", async () => {
    const bytes = Buffer.from('{"n":"é"}\n\n{"n":2}\r\n{"error":1}\n{"n":3}');
    for (const size of [1, 3, 100]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, i * size + size),
      );
      const { items, failure } = await collect(await answering("application/x-ndjson; charset=utf-8", chunks));
      assert.deepEqual([items, failure], [[{ n: "é" }, { n: 2 }, { error: 1 }, { n: 3 }], undefined]);
    }
  });

  test("of server-sent events arrives item by item, up to the event that ends it", async () => {
    const text =
      ': hello\n\ndata: {"n":\ndata: 1}\n\nevent: other\ndata: x\n\nevent:message\r\nid: 7\r\ndata:{"n":2}\r\n\r\nretry\n\nevent: end\ndata: {}\n\ndata: {"n":9}\n\n';
    for (const chunks of [[text], [...text]]) {
      const { items, failure } = await collect(await answering("text/event-stream", chunks));
      assert.deepEqual([items, failure], [[{ n: 1 }, { n: 2 }], undefined]);
    }
  });

  test("that fails after its first items ends in the error", async () => {
    for (const [type, chunks] of [
      ["application/x-ndjson", ['{"n":1}\n', `{"error":${problem}}\n`]],
      ["text/event-stream", ['data: {"n":1}\n\n', `event: error\ndata: ${problem}\n\n`]],
    ] as const) {
      const { items, failure } = await collect(await answering(type, chunks));
      assert.deepEqual(items, [{ n: 1 }]);
      assert.ok(isError(failure, "DISK_GONE"));
    }
    const odd = await collect(await answering("text/event-stream", ["event: error\ndata: what\n\n"]));
    assert.ok(isError(odd.failure, "internal"));
  });

  test("that is refused throws what the problem means", async () => {
    const url = await serve((_, res) =>
      res.writeHead(403, { "content-type": "application/problem+json" }).end('{"title":"No."}'),
    );
    assert.ok(isError((await collect(url)).failure, "permission_denied"));
    const vast = await serve((_, res) => res.writeHead(500).end("x".repeat(200_000)));
    assert.ok(isError((await collect(vast)).failure, "internal"));
  });

  test("of another type, of broken items or of endless ones is unreadable", async () => {
    const refuse = () => {
      throw error("invalid_argument", "no");
    };
    for (const [type, chunk, parse] of [
      ["text/html", "<html>", asIs],
      ["application/x-ndjson", '{"n":\n', asIs],
      ["application/x-ndjson", "x".repeat(3000), asIs],
      ["application/x-ndjson", `"${"x".repeat(3000)}"\n`, asIs],
      ["text/event-stream", "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(100), asIs],
      ["application/x-ndjson", '{"n":1}\n', refuse],
    ] as const) {
      const { failure } = await collect(await answering(type, [chunk]), { limits: { itemChars: 2000 } }, parse);
      assert.ok(isError(failure, "HTTP_ANSWER_UNREADABLE"), `${type}: ${failure}`);
    }
  });

  test("that breaks off fails after its items", async () => {
    const url = await serve((_, res) => {
      res.writeHead(200, { "content-type": "application/x-ndjson" });
      res.write('{"n":1}\n');
      systemClock.after(30, () => res.destroy());
    });
    const { items, failure } = await collect(url);
    assert.deepEqual(items, [{ n: 1 }]);
    assert.ok(isError(failure, "HTTP_CONNECTION_LOST"));
  });

  test("is held back by a slow consumer, and ended by one that leaves", async () => {
    let sent = 0;
    const gone = gate();
    const url = await serve(async (_, res) => {
      res.once("close", gone.open);
      res.writeHead(200, { "content-type": "application/x-ndjson" });
      while (!res.destroyed) {
        sent++;
        res.write(`{"n":${sent},"pad":"${"x".repeat(10_000)}"}\n`);
        while (res.writableNeedDrain && !res.destroyed) await systemClock.sleep(1);
      }
    });
    const iterable = clientOf(url, { limits: { streamItems: 4 } }).stream(read, asIs)({}, scope());
    let taken = 0;
    for await (const item of iterable) {
      assert.equal(item.n, ++taken);
      if (taken === 1) {
        // Until the buffers between the two are full.
        let before = 0;
        for (let left = 30; left > 0 && before !== sent; left--) {
          before = sent;
          await systemClock.sleep(100);
        }
        assert.equal(sent, before, "the service could go on sending");
      }
      if (taken === 2000) break;
    }
    await gone.promise;
  });

  test("ends with its deadline", async () => {
    const url = await serve((_, res) => {
      res.writeHead(200, { "content-type": "application/x-ndjson" });
      res.write('{"n":1}\n');
    });
    const client = clientOf(url);
    await assert.rejects(
      async () => {
        for await (const _ of client.stream(read, asIs)({}, scope({ remainingMs: 120 })));
      },
      { code: "deadline_exceeded" },
    );
    const late = client
      .stream(read, asIs)({}, scope({ remainingMs: 0 }))
      [Symbol.asyncIterator]();
    await assert.rejects(Promise.resolve(late.next()), reasonIs("DEADLINE_EXCEEDED", "no"));
  });
});
