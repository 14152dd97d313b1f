import assert from "node:assert/strict";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { after, describe, test } from "node:test";
import { createSeededRandom, isError, systemClock } from "../base/index.ts";
import { beginFrame, compileCodec, endFrame, FrameReader, readValue, Writer, writeValue } from "../wire/index.ts";
import { challengeMessage, helloMessage, keysOf, proofOf, readMessage, transcriptOf } from "./handshake.ts";
import { gate, peers, scope, secret, stream, text, unary, until } from "./peer.fixture.ts";
import { frameKind } from "./protocol.ts";

const all = peers();
after(() => all.close());
const echo = unary("echo", async (request) => request);
const random = createSeededRandom(3);

function frame(kind: number, write: (writer: Writer) => void = () => {}): Buffer {
  const writer = new Writer();
  const mark = beginFrame(writer, kind);
  write(writer);
  endFrame(writer, mark);
  return writer.take();
}

const message = (kind: number, value: unknown) => frame(kind, (writer) => writeValue(writer, value));

interface Got {
  kind: number;
  bytes: Buffer;
}

/** Frames as they arrive on a raw socket, one at a time. */
function reading(socket: Socket): () => Promise<Got> {
  const got: Got[] = [];
  const waiting: ((frame: Got) => void)[] = [];
  const frames = new FrameReader((kind, payload) => {
    const frame = { kind, bytes: Buffer.from(payload.bytes.subarray(payload.at, payload.end)) };
    const wake = waiting.shift();
    if (wake) wake(frame);
    else got.push(frame);
  });
  socket.on("data", (chunk) => frames.feed(chunk));
  return () => {
    const first = got.shift();
    return first ? Promise.resolve(first) : new Promise((resolve) => waiting.push(resolve));
  };
}

/** A raw socket that has shaken hands as it should. */
async function shaken(port: number) {
  const socket = await all.socket(port);
  const next = reading(socket);
  const hello = message(frameKind.hello, helloMessage([1], { name: "raw", frameBytes: 4_000_000 }, random));
  socket.write(hello);
  const challenge = await next();
  const transcript = transcriptOf(hello.subarray(5), challenge.bytes, socket);
  socket.write(message(frameKind.proof, { proof: proofOf(keysOf(secret)[0] as Buffer, "client", transcript) }));
  assert.equal((await next()).kind, frameKind.welcome);
  return { socket, next };
}

function closed(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  return new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));
}

describe("a server", () => {
  const hello = helloMessage([1], { name: "x", frameBytes: 20_000 }, random);
  const strangers: [string, Buffer][] = [
    ["noise", Buffer.from(random.fill(new Uint8Array(4000)))],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
    ["a huge length", Buffer.from([255, 255, 255, 127, 1])],
    ["an empty frame", Buffer.from([0, 0, 0, 0])],
    ["a call before the handshake", frame(frameKind.call)],
    ["a proof before the hello", message(frameKind.proof, { proof: new Uint8Array(32) })],
    ["two hellos", Buffer.concat([message(frameKind.hello, hello), message(frameKind.hello, hello)])],
    ["a hello of another protocol", message(frameKind.hello, { ...hello, protocol: "other" })],
    ["a hello with a short nonce", message(frameKind.hello, { ...hello, nonce: new Uint8Array(5) })],
    ["a hello with a frame limit of nothing", message(frameKind.hello, { ...hello, frameBytes: 10 })],
    ["a hello that is no object", message(frameKind.hello, 5)],
    ["a hello cut short", frame(frameKind.hello, (w) => w.byte(8))],
    ["no common version", message(frameKind.hello, { ...hello, versions: [99, "x"] })],
    [
      "a wrong proof",
      Buffer.concat([message(frameKind.hello, hello), message(frameKind.proof, { proof: new Uint8Array(32) })]),
    ],
    [
      "a proof that is none",
      Buffer.concat([message(frameKind.hello, hello), message(frameKind.proof, { proof: "yes" })]),
    ],
    ["17 KiB before the proof", message(frameKind.hello, { ...hello, name: "x".repeat(17_000) })],
  ];
  for (const [name, bytes] of strangers) {
    test(`closes the connection on ${name}, says why, and serves the others`, async () => {
      const said: unknown[] = [];
      const server = await all.server([echo], { log: (_, __, fields) => said.push(fields) });
      const client = all.client([server.address], [echo]);
      await client.connect();
      const socket = await all.socket(server.port);
      socket.write(bytes);
      await closed(socket);
      await until(() => server.stats.refusedConnections === 1);
      assert.equal(said.length, 1);
      assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
      assert.ok(!Buffer.concat(socket.received).includes(secret));
    });
  }

  test("closes a connection that says nothing within the time for the handshake", async () => {
    const server = await all.server([echo], { limits: { handshakeMs: 60 } });
    const socket = await all.socket(server.port);
    await closed(socket);
    assert.equal(server.stats.refusedConnections, 1);
  });

  test("takes no more connections than its limit", async () => {
    const server = await all.server([echo], { limits: { connections: 2 } });
    const sockets = [await all.socket(server.port), await all.socket(server.port)];
    const third = await all.socket(server.port);
    await closed(third);
    assert.ok(sockets.every((socket) => !socket.destroyed));
  });

  const header = (id: number, method: number, flags: number, slot: number) => (writer: Writer) => {
    for (const value of [id, method, flags, slot]) writer.uvarint(value);
  };
  const broken: [string, Buffer][] = [
    ["a frame of unknown kind", frame(99)],
    ["a frame that only servers send", frame(frameKind.result)],
    ["a header cut short", frame(frameKind.call, (w) => w.byte(1))],
    ["a principal that was never sent", frame(frameKind.call, header(1, 0, 0, 7))],
    [
      "a principal that is none",
      frame(frameKind.principal, (w) => {
        w.uvarint(1);
        writeValue(w, { kind: "root" });
      }),
    ],
    [
      "a principal slot beyond the table",
      frame(frameKind.principal, (w) => {
        w.uvarint(5000);
        writeValue(w, 1);
      }),
    ],
    ["a second hello", message(frameKind.hello, hello)],
    ["a frame above the limit", Buffer.from([0, 0, 0, 127, 16])],
  ];
  for (const [name, bytes] of broken) {
    test(`closes an authenticated connection on ${name}`, async () => {
      const said: string[] = [];
      const server = await all.server([echo], { log: (_, text) => said.push(text) });
      const { socket } = await shaken(server.port);
      socket.write(bytes);
      await closed(socket);
      await until(() => server.stats.connections === 0);
      assert.deepEqual(said, ["rpc: closed a connection"]);
      assert.equal(server.stats.inFlight, 0);
    });
  }

  test("closes a connection that uses the id of a call in flight again", async () => {
    const cancelled = gate<string>();
    const hang = unary("hang", (_, context) => new Promise(() => context.onCancel((r) => cancelled.open(r.reason))));
    const server = await all.server([hang]);
    const { socket } = await shaken(server.port);
    const call = frame(frameKind.call, (w) => {
      header(1, 0, 1, 0)(w);
      compileCodec(text).encode({ text: "" }, w);
    });
    socket.write(Buffer.concat([call, call]));
    await closed(socket);
    assert.equal(await cancelled.promise, "RPC_CALLER_GONE");
  });

  test("refuses a call that cannot be read, or has no time left, and goes on with the next", async () => {
    const server = await all.server([echo, stream("items", async function* () {})]);
    const { socket, next } = await shaken(server.port);
    const answers: [Buffer, string][] = [
      [
        frame(frameKind.call, (w) => {
          header(1, 0, 1, 0)(w);
          w.byte(99);
        }),
        "WIRE_MALFORMED",
      ],
      [
        frame(frameKind.call, (w) => {
          header(2, 0, 0, 0)(w);
          w.byte(77);
        }),
        "WIRE_MALFORMED",
      ],
      [
        frame(frameKind.call, (w) => {
          header(3, 44, 1, 0)(w);
          w.byte(99);
        }),
        "RPC_METHOD_UNKNOWN",
      ],
      [
        frame(frameKind.call, (w) => {
          header(4, 1, 1, 0)(w);
          w.byte(0);
        }),
        "RPC_METHOD_UNKNOWN",
      ],
      [
        frame(frameKind.call, (w) => {
          header(5, 0, 5, 0)(w);
          w.uvarint(0);
          w.byte(1);
        }),
        "DEADLINE_EXCEEDED",
      ],
    ];
    for (const [bytes, reason] of answers) {
      socket.write(bytes);
      const { kind, bytes: payload } = await next();
      assert.equal(kind, frameKind.error);
      const reader = new FrameReader((_, r) => {
        r.uvarint();
        const wire = readValue(r) as { reason: string; executed: string };
        assert.deepEqual([wire.reason, wire.executed], [reason, "no"]);
      });
      reader.feed(
        frame(1, (w) => {
          for (const byte of payload) w.byte(byte);
        }),
      );
    }
    socket.write(frame(frameKind.cancel, (w) => w.uvarint(777)));
    socket.write(
      frame(frameKind.grant, (w) => {
        w.uvarint(777);
        w.uvarint(1);
        w.uvarint(1);
      }),
    );
    socket.write(frame(frameKind.ping));
    assert.equal((await next()).kind, frameKind.pong);
  });

  test("stops reading from a client that does not take its answers, goes on when it does, and serves the others", async () => {
    const big = unary("big", async () => ({ text: "x".repeat(50_000) }));
    const server = await all.server([big, echo], { limits: { pendingBytes: 200_000 } });
    const { socket } = await shaken(server.port);
    socket.pause();
    let answered = 0;
    const frames = new FrameReader(() => {
      answered++;
    });
    socket.on("data", (chunk) => frames.feed(chunk));
    const call = (id: number) =>
      frame(frameKind.call, (w) => {
        header(id, 0, 1, 0)(w);
        compileCodec(text).encode({ text: "x".repeat(1000) }, w);
      });
    for (let id = 1; id <= 1000; id++) {
      socket.write(call(id));
      if (id % 20 === 0) await systemClock.sleep(1);
    }
    const { calls } = server.stats;
    assert.ok(calls < 500, `${calls} were run for a client that takes nothing`);
    const other = all.client([server.address], [big, echo]);
    assert.deepEqual(await other.call("echo")({ text: "x" }, scope()), { text: "x" });
    socket.resume();
    await until(() => answered === 1000);
  });

  test("survives frames with random bytes in them", async () => {
    const server = await all.server([echo]);
    for (let round = 0; round < 60; round++) {
      const { socket } = await shaken(server.port);
      socket.on("error", () => {});
      for (let i = 0; i < 20; i++) {
        const kinds = [16, 17, 18, 19, 48, 49];
        socket.write(
          frame(kinds[random.uint32() % 6] as number, (w) => {
            for (let left = random.uint32() % 30; left > 0; left--)
              w.byte(random.uint32() & (random.uint32() % 2 ? 7 : 255));
          }),
        );
      }
      socket.destroy();
    }
    const client = all.client([server.address], [echo]);
    assert.deepEqual(await client.call("echo")({ text: "x" }, scope()), { text: "x" });
    await until(() => server.stats.connections === 1 && server.stats.inFlight === 0);
  });
});

describe("a client", () => {
  /** A server that answers a connection as the test says. */
  async function rogue(serve: (socket: Socket, next: () => Promise<Got>) => Promise<void> | void): Promise<string> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => {});
      Promise.resolve(serve(socket, reading(socket))).catch(() => {});
    });
    after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    server.unref();
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  const challenge = () => challengeMessage(1, { name: "rogue", frameBytes: 20_000 }, random);
  const rogues: [string, string, (socket: Socket, next: () => Promise<Got>) => Promise<void> | void][] = [
    ["answers with noise", "RPC_UNREACHABLE", (socket) => void socket.write(random.fill(new Uint8Array(500)))],
    ["hangs up", "RPC_UNREACHABLE", (socket) => void socket.end()],
    ["says nothing", "RPC_UNREACHABLE", () => {}],
    ["welcomes at once", "RPC_UNREACHABLE", (socket) => void socket.write(message(frameKind.welcome, { proof: 1 }))],
    [
      "sends a challenge that is none",
      "RPC_UNREACHABLE",
      (socket) => void socket.write(message(frameKind.challenge, 1)),
    ],
    [
      "chooses another version",
      "RPC_VERSION_REFUSED",
      (socket) => void socket.write(message(frameKind.challenge, { ...challenge(), version: 9 })),
    ],
    [
      "rejects for another cause",
      "RPC_UNREACHABLE",
      (socket) => void socket.write(message(frameKind.reject, { reason: "X" })),
    ],
    [
      "has no proof of the secret",
      "RPC_SECRET_REFUSED",
      async (socket, next) => {
        await next();
        socket.write(message(frameKind.challenge, challenge()));
        await next();
        socket.write(message(frameKind.welcome, { proof: new Uint8Array(32), methods: [] }));
      },
    ],
    [
      "sends the client's own proof back",
      "RPC_SECRET_REFUSED",
      async (socket, next) => {
        await next();
        socket.write(message(frameKind.challenge, challenge()));
        const proof = await next();
        const { proof: bytes } = readFrame(proof.bytes);
        socket.write(message(frameKind.welcome, { proof: bytes, methods: [] }));
      },
    ],
  ];

  function readFrame(bytes: Buffer): Record<string, unknown> {
    let value: Record<string, unknown> = {};
    const reader = new FrameReader((_, payload) => {
      value = readMessage(payload);
    });
    reader.feed(
      frame(1, (w) => {
        for (const byte of bytes) w.byte(byte);
      }),
    );
    return value;
  }

  for (const [name, reason, serve] of rogues) {
    test(`does not talk to a server that ${name}`, async () => {
      const address = await rogue(serve);
      const client = all.client([address], [echo], { limits: { queueMs: 250, handshakeMs: 100 } });
      await assert.rejects(client.call("echo")({ text: "x" }, scope()), (thrown) => isError(thrown, reason));
    });
  }

  test("gives up a server that breaks the protocol after the welcome, and finds it again", async () => {
    let connections = 0;
    const address = await rogue(async (socket, next) => {
      connections++;
      const hello = await next();
      const bytes = message(frameKind.challenge, challenge());
      socket.write(bytes);
      await next();
      const transcript = transcriptOf(hello.bytes, bytes.subarray(5), socket);
      const proof = proofOf(keysOf(secret)[0] as Buffer, "server", transcript);
      const { fingerprint } = compileCodec(text);
      const methods = [1, ["echo", "unary", fingerprint, fingerprint], ["items"]];
      socket.write(message(frameKind.welcome, { proof, methods }));
      const call = await next();
      const id = (writer: Writer) => writer.uvarint(call.bytes[0] as number);
      const answers = [
        frame(frameKind.call),
        frame(frameKind.error, (w) => {
          id(w);
          w.byte(200);
        }),
        frame(frameKind.end, id),
        frame(frameKind.result, (w) => {
          w.uvarint(9999);
          w.byte(1);
        }),
        frame(frameKind.result, (w) => {
          id(w);
          w.byte(200);
        }),
      ];
      socket.write(connections > 3 ? Buffer.concat(answers.slice(3)) : (answers[connections - 1] as Buffer));
    });
    const client = all.client([address], [echo]);
    const call = () => client.call("echo")({ text: "x" }, scope());
    for (let i = 0; i < 2; i++) await assert.rejects(call(), { reason: "RPC_CONNECTION_LOST", executed: "maybe" });
    await assert.rejects(call(), { reason: "RPC_PROTOCOL_BROKEN" });
    await client.close();
    const other = all.client([address], [echo]);
    await assert.rejects(other.call("echo")({ text: "x" }, scope()), { reason: "RPC_RESPONSE_UNREADABLE" });
    assert.equal(connections, 4);
  });
});
