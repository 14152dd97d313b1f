import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, describe, test } from "node:test";
import type { PlinthError } from "../base/index.ts";
import { createManualClock, createSeededRandom, error, isError, systemClock } from "../base/index.ts";
import type { RpcClient } from "./client.ts";
import { createRpcClient } from "./client.ts";
import { gate, peers, scope, secret, stream, unary, until } from "./peer.fixture.ts";
import { createRpcServer } from "./server.ts";

const all = peers();
after(() => all.close());
const echo = unary("echo", async (request) => request);
const hang = unary("hang", () => new Promise(() => {}));

function reasonIs(reason: string, executed?: string) {
  return (thrown: unknown) => {
    assert.ok(isError(thrown), String(thrown));
    assert.deepEqual([thrown.reason, executed && thrown.executed], [reason, executed]);
    return true;
  };
}

/** A port that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("without a server", () => {
  test("calls wait a little, then fail at once, with executed no", async () => {
    const client = all.client([`127.0.0.1:${await freePort()}`], [echo], { limits: { queueMs: 80 } });
    await assert.rejects(client.call("echo")({ text: "x" }, scope()), reasonIs("RPC_UNREACHABLE", "no"));
    const at = systemClock.now();
    await assert.rejects(client.call("echo")({ text: "x" }, scope()), reasonIs("RPC_UNREACHABLE", "no"));
    assert.ok(systemClock.now() - at < 50);
    assert.equal(client.state.failure?.reason, "RPC_UNREACHABLE");
    await assert.rejects(client.connect(), reasonIs("RPC_UNREACHABLE", "no"));
  });

  test("no more calls wait than the limit, and each no longer than its deadline", async () => {
    const client = all.client([`127.0.0.1:${await freePort()}`], [echo], { limits: { queuedCalls: 2, queueMs: 400 } });
    const call = client.call("echo");
    const context = scope();
    const waiting = [call({ text: "" }, scope({ remainingMs: 60 })), call({ text: "" }, context)];
    assert.equal(client.state.queued, 2);
    await assert.rejects(call({ text: "" }, scope()), reasonIs("RPC_QUEUE_FULL", "no"));
    await assert.rejects(waiting[0] as Promise<unknown>, reasonIs("DEADLINE_EXCEEDED", "no"));
    context.cancel(error("cancelled", "No longer wanted."));
    await assert.rejects(waiting[1] as Promise<unknown>, reasonIs("CANCELLED"));
    await assert.rejects(call({ text: "" }, scope({ remainingMs: 0 })), reasonIs("DEADLINE_EXCEEDED", "no"));
    await assert.rejects(call({ text: "" }, context), reasonIs("CANCELLED"));
    assert.equal(client.state.queued, 0);
  });

  test("calls that wait are sent when the server comes up in time", async () => {
    const port = await freePort();
    const client = all.client([`127.0.0.1:${port}`], [echo], { limits: { queueMs: 2000, backoffMsMax: 50 } });
    const answers = [1, 2, 3].map((n) => client.call("echo")({ text: `${n}` }, scope()));
    await systemClock.sleep(60);
    await all.server([echo], { port });
    assert.deepEqual(
      (await Promise.all(answers)).map((answer) => answer.text),
      ["1", "2", "3"],
    );
    assert.equal(client.state.failure, undefined);
  });

  test("a closed client fails what waits and what comes", async () => {
    const client = all.client([`127.0.0.1:${await freePort()}`], [echo]);
    const waiting = assert.rejects(client.call("echo")({ text: "" }, scope()), reasonIs("RPC_CLOSED", "no"));
    await client.close();
    await waiting;
    await assert.rejects(client.call("echo")({ text: "" }, scope()), reasonIs("RPC_CLOSED", "no"));
    await client.close();
  });
});

describe("a connection that ends with calls in flight", () => {
  test("fails those sent with executed maybe, those not yet sent with no, and is made anew", async () => {
    const started = gate();
    const methods = [unary("hang", () => new Promise(() => started.open())), echo];
    const port = await freePort();
    const first = await all.server(methods, { port });
    const client = all.client([first.address], methods);
    const sent = client.call("hang")({ text: "" }, scope());
    await started.promise;
    // Written in this turn: still in this process when the client closes.
    const other = all.client([first.address], methods);
    await other.connect();
    const unsent = other.call("echo")({ text: "" }, scope());
    await Promise.all([other.close(), assert.rejects(unsent, reasonIs("RPC_CONNECTION_LOST", "no"))]);
    const lost = assert.rejects(sent, (thrown) => isError(thrown, "unavailable") && thrown.executed === "maybe");
    await first.stop();
    await lost;
    const second = await all.server(methods, { port });
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    assert.equal(second.stats.calls, 1);
  });

  test("4 KiB have left before the turn is over, and what comes after them has not", async () => {
    const server = await all.server([echo]);
    const client = all.client([server.address], [echo]);
    await client.connect();
    const answers = ["x".repeat(5000), "y"].map((text) => client.call("echo")({ text }, scope()));
    const lost = ["maybe", "no"].map((executed, i) =>
      assert.rejects(answers[i] as Promise<unknown>, reasonIs("RPC_CONNECTION_LOST", executed)),
    );
    await Promise.all([client.close(), ...lost]);
  });

  test("cancels them on the server", async () => {
    const cancelled = gate<PlinthError>();
    const methods = [unary("hang", (_, context) => new Promise(() => context.onCancel(cancelled.open)))];
    const server = await all.server(methods);
    const client = all.client([server.address], methods);
    const lost = assert.rejects(client.call("hang")({ text: "" }, scope()), reasonIs("RPC_CONNECTION_LOST", "maybe"));
    await until(() => server.stats.inFlight === 1);
    await client.close();
    await lost;
    assert.equal((await cancelled.promise).reason, "RPC_CALLER_GONE");
  });
});

describe("wrong definitions stop the start and name the remedy", () => {
  const cases: [string, RegExp, () => unknown][] = [
    [
      "RPC_ADDRESS_WRONG",
      /"nowhere" is no address: write host:port/,
      () => all.client(["127.0.0.1:1", "nowhere"], [echo]),
    ],
    ["RPC_ADDRESS_WRONG", /"a:0"/, () => all.client(["a:0"], [echo])],
    ["RPC_ADDRESS_WRONG", /empty/, () => all.client([], [echo])],
    ["RPC_LIMIT_WRONG", /at least 16384/, () => all.client(["a:1"], [echo], { limits: { frameBytes: 100 } })],
    ["RPC_METHODS_WRONG", /"echo" is given twice/, () => all.client(["a:1"], [echo, echo])],
    ["RPC_TLS_UNUSABLE", /needs "cert" and "key"/, () => all.client(["a:1"], [echo], { tls: { cert: "x" } })],
    [
      "RPC_TLS_UNUSABLE",
      /neither PEM text nor a readable file/,
      () => all.client(["a:1"], [echo], { tls: { ca: "/nowhere" } }),
    ],
    [
      "RPC_TLS_UNUSABLE",
      /does not hold a certificate/,
      () => all.client(["a:1"], [echo], { tls: { cert: "-----BEGIN X", key: "-----BEGIN Y" } }),
    ],
  ];
  for (const [reason, words, run] of cases) {
    test(`${reason} ${words}`, () => assert.throws(run, { name: "StartError", reason, message: words }));
  }

  test("a port in use", async () => {
    const server = await all.server([echo]);
    await assert.rejects(all.server([echo], { port: server.port }), { reason: "RPC_PORT_UNUSABLE", message: /in use/ });
    await assert.rejects(all.server([echo], { host: "203.0.113.1" }), {
      reason: "RPC_PORT_UNUSABLE",
      message: /EADDRNOTAVAIL/,
    });
  });

  test("a frame limit that no handshake fits into", async () => {
    await assert.rejects(all.server([echo], { limits: { frameBytes: 100 } }), { reason: "RPC_LIMIT_WRONG" });
  });

  test("a method without what runs it, on the server", async () => {
    const { call: _, ...bare } = echo;
    await assert.rejects(all.server([bare]), { reason: "RPC_METHODS_WRONG", message: /give it "call"/ });
    const { stream: __, ...dry } = stream("s", async function* () {});
    await assert.rejects(all.server([dry]), { reason: "RPC_METHODS_WRONG", message: /give it "stream"/ });
  });

  test("addresses of version 6 and names are read", () => {
    const client = all.client(["[::1]:7101", "orders:7101"], [echo]);
    assert.deepEqual(
      client.state.connections.map((each) => each.address),
      ["[::1]:7101", "orders:7101"],
    );
  });
});

describe("limits of calls in flight", () => {
  test("a server with no room refuses, and one client cannot take all of it", async () => {
    const methods = [hang, echo];
    const server = await all.server(methods, { limits: { calls: 5, callsPerConnection: 3 } });
    const greedy = all.client([server.address], methods);
    const context = scope();
    const held = Array.from({ length: 3 }, () =>
      greedy
        .call("hang")({ text: "" }, context)
        .catch(() => {}),
    );
    await until(() => server.stats.inFlight === 3);
    await assert.rejects(greedy.call("hang")({ text: "" }, scope()), (thrown) => {
      assert.ok(isError(thrown));
      assert.deepEqual(
        [thrown.code, thrown.reason, thrown.executed, thrown.retry, thrown.details],
        ["resource_exhausted", "RPC_SERVER_BUSY", "no", "safe", { limit: 3 }],
      );
      return true;
    });
    const modest = all.client([server.address], methods);
    assert.deepEqual(await modest.call("echo")({ text: "x" }, scope()), { text: "x" });
    const more = Array.from({ length: 2 }, () =>
      modest
        .call("hang")({ text: "" }, context)
        .catch(() => {}),
    );
    await until(() => server.stats.inFlight === 5);
    await assert.rejects(
      modest.call("echo")({ text: "" }, scope()),
      (t) => isError(t, "RPC_SERVER_BUSY") && t.details?.limit === 5,
    );
    assert.equal(server.stats.refusedCalls, 2);
    context.cancel(error("cancelled", "Enough."));
    await Promise.all([...held, ...more]);
  });

  test("a client with no room refuses before anything is sent", async () => {
    const server = await all.server([hang]);
    const client = all.client([server.address], [hang], { limits: { callsPerConnection: 2 } });
    await client.connect();
    const context = scope();
    const held = [1, 2].map(() =>
      client
        .call("hang")({ text: "" }, context)
        .catch(() => {}),
    );
    await assert.rejects(client.call("hang")({ text: "" }, scope()), reasonIs("RPC_CLIENT_BUSY", "no"));
    context.cancel(error("cancelled", "Enough."));
    await Promise.all(held);
  });
});

describe("several addresses", () => {
  test("share the calls, and one that ends is left out until it is back", async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    const names = ["a", "b", "c"];
    const serverOf = (i: number) =>
      all.server([unary("who", async () => ({ text: names[i] as string }))], { port: ports[i] as number });
    const servers = await Promise.all([0, 1, 2].map(serverOf));
    const client = all.client(
      servers.map((server) => server.address),
      [echo, unary("who", async (r) => r)],
      { limits: { backoffMsMax: 60 } },
    );
    const ask = async (times: number) => {
      const answers = await Promise.all(Array.from({ length: times }, () => client.call("who")({ text: "" }, scope())));
      return names.map((name) => answers.filter((answer) => answer.text === name).length);
    };
    await client.connect();
    await until(() => client.state.connections.every((each) => each.state === "ready"));
    for (const share of await ask(300)) assert.ok(share > 60, String(share));
    await servers[1]?.stop();
    await until(() => client.state.connections[1]?.state !== "ready");
    const [a, b, c] = await ask(100);
    assert.deepEqual([b, (a ?? 0) + (c ?? 0)], [0, 100]);
    servers[1] = await serverOf(1);
    await until(() => client.state.connections[1]?.state === "ready");
    assert.ok(((await ask(300))[1] ?? 0) > 60);
    await assert.rejects(client.call("echo")({ text: "" }, scope()), reasonIs("RPC_METHOD_UNKNOWN", "no"));
  });

  test("a slow one gets fewer calls", async () => {
    const waits = [1, 30];
    let counts = [0, 0];
    const servers = await Promise.all(
      waits.map((waitMs, i) =>
        all.server([
          unary("work", async (request) => {
            counts[i] = (counts[i] ?? 0) + 1;
            await systemClock.sleep(waitMs);
            return request;
          }),
        ]),
      ),
    );
    const client = all.client(
      servers.map((server) => server.address),
      [unary("work", async (r) => r)],
    );
    await client.connect();
    await until(() => client.state.connections.every((each) => each.state === "ready"));
    counts = [0, 0];
    const worker = async () => {
      for (let i = 0; i < 20; i++) await client.call("work")({ text: "" }, scope());
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    assert.ok((counts[0] ?? 0) > 2 * (counts[1] ?? 0), String(counts));
  });

  test("several connections to one address are used alike", async () => {
    const server = await all.server([hang]);
    const client = all.client([server.address], [hang], { limits: { connectionsPerAddress: 2 } });
    await client.connect();
    await until(() => client.state.connections.every((each) => each.state === "ready"));
    const context = scope();
    const held = Array.from({ length: 10 }, () =>
      client
        .call("hang")({ text: "" }, context)
        .catch(() => {}),
    );
    assert.deepEqual(
      client.state.connections.map((each) => each.inFlight),
      [5, 5],
    );
    context.cancel(error("cancelled", "Enough."));
    await Promise.all(held);
  });
});

test("connecting ahead takes those that are there, and is as if nothing had been tried with the others", async () => {
  const said: string[] = [];
  const [there, port] = [await all.server([echo]), await freePort()];
  const addresses = [there.address, `127.0.0.1:${port}`];
  const states = (client: RpcClient) => client.state.connections.map(({ state }) => state).join();
  const client = all.client(addresses, [echo], { log: (_, message) => said.push(message) });
  client.connectAhead();
  await until(() => states(client) === "ready,idle");
  assert.deepEqual(said, ["rpc: connected"]);

  const early = all.client([`127.0.0.1:${port}`], [echo], { limits: { queueMs: 2000, backoffMsMax: 20 } });
  early.connectAhead();
  const answer = early.call("echo")({ text: "x" }, scope());
  await until(() => states(early) === "waiting");
  await all.server([echo], { port });
  assert.deepEqual(await answer, { text: "x" }, "a call that came meanwhile makes it a real attempt");
});

test("the log tells once that an address is away, and once that it is back", async () => {
  const said: string[] = [];
  const port = await freePort();
  const log = (level: string, message: string) => said.push(`${level} ${message}`);
  const client = all.client([`127.0.0.1:${port}`], [echo], { log, limits: { backoffMsMin: 1, backoffMsMax: 5 } });
  const isReady = () => client.state.connections[0]?.state === "ready";
  await Promise.allSettled([client.call("echo")({ text: "x" }, scope({ remainingMs: 100 }))]);
  for (let life = 0; life < 2; life++) {
    const server = await all.server([echo], { port });
    await until(isReady);
    await server.stop();
    await until(() => !isReady());
    await systemClock.sleep(50);
  }
  const [away, back] = ["warn rpc: not connected", "info rpc: connected"];
  assert.deepEqual(said, [away, back, away, back, away]);
});

describe("a connection that has grown old", () => {
  test("is replaced by a new one, and no call fails", async () => {
    const slow = unary("slow", async (request) => {
      await systemClock.sleep(15);
      return request;
    });
    const server = await all.server([slow]);
    const said: string[] = [];
    const client = all.client([`localhost:${server.port}`], [slow], {
      limits: { connectionMs: 40 },
      log: (_, message) => said.push(message),
    });
    for (let i = 0; i < 25; i++) {
      await Promise.all([1, 2, 3].map(() => client.call("slow")({ text: "x" }, scope())));
    }
    assert.ok(said.length >= 4 && said.every((message) => message === "rpc: connected"), said.join());
    await until(() => server.stats.connections === 1);
    await server.stop();
    await until(() => client.state.connections[0]?.state === "waiting");
  });

  test("is kept when there is no other to be had", async () => {
    const port = await freePort();
    const server = await all.server([echo], { port, limits: { connections: 1 } });
    const client = all.client([server.address], [echo], { limits: { connectionMs: 20 } });
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
      await systemClock.sleep(10);
    }
    assert.equal(client.state.connections[0]?.state, "ready");
  });
});

describe("a server that drains", () => {
  test("answers what was sent, and sends new calls to the next one: none fails", async () => {
    const port = await freePort();
    const slow = unary("slow", async (request) => {
      await systemClock.sleep(60);
      return request;
    });
    let server = await all.server([slow], { port });
    const client = all.client([server.address], [slow], { limits: { queueMs: 3000, backoffMsMax: 40 } });
    let isOver = false;
    let answered = 0;
    const worker = async () => {
      while (!isOver) {
        await client.call("slow")({ text: "x" }, scope());
        answered++;
      }
    };
    const workers = Promise.all(Array.from({ length: 20 }, worker));
    for (let round = 0; round < 3; round++) {
      await systemClock.sleep(80);
      await server.drain();
      assert.deepEqual([server.stats.inFlight, server.stats.connections], [0, 0]);
      server = await all.server([slow], { port });
    }
    isOver = true;
    await workers;
    assert.ok(answered > 20);
  });

  test("the last one that leaves sends clients to one that came back, without a long pause", async () => {
    const clock = createManualClock();
    const random = { ...createSeededRandom(1), next: () => 0.5 };
    const [first, second] = [await all.server([echo]), await all.server([echo])];
    const client = all.client([first.address, second.address], [echo], {
      clock,
      random,
    });
    const stateIs = (at: number, state: string) => until(() => client.state.connections[at]?.state === state);
    await client.connect();
    await Promise.all([stateIs(0, "ready"), stateIs(1, "ready")]);
    await first.stop();
    // Pauses grow to 1 s here: half of the ceiling.
    for (let attempt = 0; attempt < 8; attempt++) {
      await stateIs(0, "waiting");
      await clock.advance(1000);
      await until(() => client.state.connections[0]?.state !== "connecting");
    }
    await all.server([echo], { port: first.port });
    const drained = second.drain();
    await stateIs(1, "waiting");
    await clock.advance(50);
    await stateIs(0, "ready");
    await drained;
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope({ deadline: clock.now() + 5000 })), { text: "x" });
  });

  test("is called while there is no other: 3 s at most, and not by a process that leaves itself", async () => {
    const clock = createManualClock();
    const call = (client: RpcClient) => client.call("echo")({ text: "x" }, scope({ remainingMs: 60_000 }));
    const [server, other] = [await all.server([echo]), await all.server([echo])];
    const addresses = [server.address, `127.0.0.1:${await freePort()}`];
    const [client, leaving] = [all.client(addresses, [echo], { clock }), all.client([server.address], [echo])];
    await Promise.all([client.connect(), leaving.connect()]);
    leaving.quiesce();
    let isDrained = false;
    const drained = server.drain().then(() => {
      isDrained = true;
    });
    await until(() => server.stats.connections === 1);
    await until(() => client.state.connections[0]?.state === "waiting");
    await clock.advance(2000);
    assert.deepEqual(await call(client), { text: "x" });
    assert.equal(isDrained, false);
    await clock.advance(1000);
    await drained;
    const late = assert.rejects(call(client), reasonIs("RPC_UNREACHABLE", "no"));
    await clock.advance(1000);
    await late;

    const patient = all.client([other.address], [echo]);
    await patient.connect();
    const next = other.drain();
    await until(() => patient.state.connections[0]?.state !== "ready");
    patient.quiesce();
    await next;
  });

  test("cancels what does not end in time", async () => {
    const cancelled = gate<PlinthError>();
    const methods = [unary("hang", (_, context) => new Promise(() => context.onCancel(cancelled.open)))];
    const server = await all.server(methods, { limits: { drainMs: 80 } });
    const client = all.client([server.address], methods);
    const lost = assert.rejects(client.call("hang")({ text: "" }, scope()), reasonIs("RPC_SERVER_STOPPED", "maybe"));
    await until(() => server.stats.inFlight === 1);
    await server.drain();
    await lost;
    assert.equal((await cancelled.promise).reason, "RPC_SERVER_STOPPED");
  });

  test("with nobody connected, or never started, ends at once", async () => {
    const server = await all.server([echo]);
    await server.drain();
    await server.stop();
    await createRpcServer({ name: "x", port: 0, secret, methods: [echo] }).stop();
  });
});

describe("a silent peer", () => {
  test("gets a ping, and is given up after a second period without a word", async () => {
    const clock = createManualClock();
    const server = await all.server([echo], { clock });
    const client = all.client([server.address], [echo]);
    await client.connect();
    // The client answers pings: it stays.
    for (let i = 0; i < 8; i++) {
      await clock.advance(5000);
      await systemClock.sleep(5);
    }
    assert.equal(server.stats.connections, 1);
    const socket = await all.socket(server.port);
    let isClosed = false;
    socket.on("close", () => {
      isClosed = true;
    });
    await clock.advance(4000);
    assert.equal(isClosed, false);
    await clock.advance(11_000);
    await until(() => isClosed);
  });

  test("fails the calls that wait for it", async () => {
    const clock = createManualClock();
    const silent = createServer((socket) => socket.on("error", () => {}));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(silent.address() as { port: number }).port}`;
    const client = createRpcClient({
      name: "x",
      addresses: [address],
      secret,
      methods: [echo],
      clock,
      limits: { handshakeMs: 1e9, connectMs: 1e9, queueMs: 1e9 },
    });
    const lost = assert.rejects(client.call("echo")({ text: "" }, scope({ remainingMs: 1e6 })), reasonIs("RPC_CLOSED"));
    await systemClock.sleep(50);
    for (let i = 0; i < 4; i++) await clock.advance(5000);
    const { failure } = client.state;
    await client.close();
    silent.close();
    await lost;
    assert.ok(isError(failure?.cause, "RPC_PEER_SILENT"));
  });

  test("is not given up for a pause of our own", async () => {
    const clock = createManualClock();
    const server = await all.server([echo], { clock });
    const client = all.client([server.address], [echo]);
    await client.connect();
    const jump = clock.now;
    await clock.advance(5000);
    // Blocked for a minute: the next tick is late by far.
    let skew = 60_000;
    clock.now = () => jump() + skew;
    await clock.advance(5000);
    skew += 60_000;
    await clock.advance(5000);
    assert.equal(server.stats.connections, 1);
  });
});
