import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { GatewayRequest } from "./gateway-request.ts";

test("a taker gets the body as it comes, and the stream hears nothing of it", async () => {
  const heard: string[] = [];
  await serve(["two ", "parts"], (req) => {
    req.on("close", () => heard.push("close"));
    return collect(req, heard);
  });
  assert.equal(heard.filter((each) => each !== "whole").join(""), "two parts");
  assert.equal(heard.at(-1), "whole");
});

test("it is too late for a taker when the stream has begun", async () => {
  const heard: string[] = [];
  await serve(["late"], async (req) => {
    await once(req, "readable");
    assert.equal(req.handTo({ isOver: false, onChunk() {}, onWhole() {} }), false);
    for await (const chunk of req) heard.push(String(chunk));
  });
  assert.deepEqual(heard, ["late"]);
});

test("what a taker does not want any more is the stream's, to its end", async () => {
  const taker = {
    isOver: false,
    onChunk() {
      taker.isOver = true;
    },
    onWhole: () => assert.fail(),
  };
  const rest: string[] = [];
  await serve(["first", "second"], async (req) => {
    assert.ok(req.handTo(taker));
    req.on("data", (chunk) => rest.push(String(chunk)));
    await once(req, "end");
  });
  assert.equal(rest.join(""), "second");
});

test("a connection is kept after requests without a body that nobody looks at", async () => {
  let connections = 0;
  const { url, ask, close } = await listen(
    (req) => {
      req.forgo();
      return Promise.resolve();
    },
    () => connections++,
  );
  for (let i = 0; i < 3; i++) assert.equal(await ask(url), 200);
  await close();
  assert.equal(connections, 1);
});

test("an idle connection keeps nothing of a request whose body was taken, or that had none", async () => {
  for (const parts of [["taken"], []]) {
    let seen: GatewayRequest | undefined;
    await serve(
      parts,
      async (req) => {
        seen = req;
        if (parts.length > 0) return collect(req, []);
        req.forgo();
      },
      async () => {
        const { socket } = seen as GatewayRequest;
        assert.equal((socket as unknown as { parser: { incoming: unknown } }).parser.incoming, null);
      },
    );
  }
});

test("whoever waits for the end of the stream gets it", async () => {
  await serve(["body"], async (req) => {
    const ended = once(req, "end");
    assert.equal(req.handTo({ isOver: false, onChunk() {}, onWhole() {} }), false);
    req.resume();
    await ended;
  });
});

function collect(req: GatewayRequest, heard: string[]): Promise<void> {
  return new Promise((resolve) => {
    const isTaken = req.handTo({
      isOver: false,
      onChunk: (chunk) => void heard.push(String(chunk)),
      onWhole: () => {
        heard.push("whole");
        resolve();
      },
    });
    assert.ok(isTaken);
  });
}

/** Sends a body in parts to a server that answers when `handle` is done. */
async function serve(
  parts: readonly string[],
  handle: (req: GatewayRequest) => Promise<void>,
  look: () => Promise<void> = async () => {},
): Promise<void> {
  const { url, close, agent } = await listen(handle, () => {});
  const req = request(url, { method: parts.length > 0 ? "POST" : "GET", agent });
  const answered = once(req, "response");
  for (const part of parts) {
    req.write(part);
    await nextTurn();
    await nextTurn();
  }
  req.end();
  const [res] = (await answered) as [IncomingMessage];
  res.resume();
  await once(res, "end");
  await nextTurn();
  await look();
  await close();
}

async function listen(handle: (req: GatewayRequest) => Promise<void>, onConnection: () => void) {
  const server = createServer({ IncomingMessage: GatewayRequest }, (req, res) => {
    handle(req).then(
      () => res.end(),
      (thrown) => res.destroy(thrown),
    );
  });
  server.on("connection", onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    agent,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async ask(url: string): Promise<number> {
      const req = request(url, { agent });
      req.end();
      const [res] = (await once(req, "response")) as [IncomingMessage];
      res.resume();
      await once(res, "end");
      await nextTurn();
      return res.statusCode ?? 0;
    },
    async close(): Promise<void> {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
