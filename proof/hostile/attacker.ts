/** A process of its own that attacks, as the order in its argument says, and prints what it saw as JSON. */
import type { Socket } from "node:net";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectSecurely } from "node:tls";
import { frame, getHeaders, http2Preface, settingsFrame } from "../../src/gateway/http2/frames.fixture.ts";
import type { Order, Report } from "./attack.ts";
import { smuggled } from "./shapes.ts";

const order = JSON.parse(process.argv[2] ?? "{}") as Order;
// Getting here took processor time that is no part of the attack.
process.stdout.write("ready\n");
await sleep(100);
const endAt = performance.now() + order.seconds * 1000;
let opened = 0;
let cut = 0;
let open = 0;
let longestMs = 0;
let isOver = false;
const answers: Record<string, number> = {};

interface Line {
  readonly socket: Socket;
  /** Resolves when the server has ended it, or the attack is over. */
  readonly ended: Promise<void>;
  readonly isOpen: boolean;
}

function dial(secure = false): Promise<Line | undefined> {
  return new Promise((resolve) => {
    const to = { port: order.port, host: "127.0.0.1" };
    const socket = secure
      ? connectSecurely({ ...to, servername: "localhost", ca: order.ca ?? "", ALPNProtocols: ["h2"] })
      : connect(to);
    const startedAt = performance.now();
    let isUp = false;
    let end = (): void => {};
    const ended = new Promise<void>((done) => {
      end = done;
    });
    const line = {
      socket,
      ended,
      get isOpen() {
        return !socket.destroyed;
      },
    };
    socket.on("error", () => {});
    socket.once(secure ? "secureConnect" : "connect", () => {
      isUp = true;
      opened++;
      open++;
      resolve(line);
    });
    // A server that only ends its half has let go as well.
    socket.once("end", () => socket.destroy());
    socket.once("close", () => {
      end();
      if (!isUp) return resolve(undefined);
      open--;
      if (isOver) return;
      cut++;
      longestMs = Math.max(longestMs, performance.now() - startedAt);
    });
  });
}

function listen({ socket }: Line): void {
  socket.on("data", (chunk: Buffer) => {
    const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString("latin1")) ?? [];
    if (status !== undefined) answers[status] = (answers[status] ?? 0) + 1;
  });
}

const isTime = (): boolean => performance.now() < endAt;

/** A byte each second, for as long as the server takes it. */
async function drip(head: string, piece: string): Promise<void> {
  const line = await dial();
  if (!line) return;
  listen(line);
  line.socket.write(head);
  while (line.isOpen && isTime()) {
    await sleep(1000);
    if (line.isOpen) line.socket.write(piece);
  }
}

/** Asks for something large, and reads none of it. */
async function readNothing(): Promise<void> {
  const line = await dial();
  if (!line) return;
  line.socket.pause();
  line.socket.write("GET /large HTTP/1.1\r\nHost: target\r\n\r\n");
  // A socket that is not read does not hear that it was ended: writing tells.
  while (line.isOpen && isTime()) {
    await sleep(1000);
    if (line.isOpen) line.socket.write("\r\n");
  }
}

async function idle(): Promise<void> {
  const line = await dial();
  if (!line) return;
  listen(line);
  line.socket.write("GET /hello HTTP/1.1\r\nHost: target\r\n\r\n");
  await Promise.race([line.ended, sleep(Math.max(0, endAt - performance.now()))]);
}

async function silent(): Promise<void> {
  const line = await dial();
  if (line) await Promise.race([line.ended, sleep(Math.max(0, endAt - performance.now()))]);
}

const filler = `X-Filler: ${"a".repeat(4000)}\r\n`;

async function sendHuge(): Promise<void> {
  while (isTime()) {
    const line = await dial();
    if (!line) continue;
    listen(line);
    line.socket.write("GET /hello HTTP/1.1\r\nHost: target\r\n");
    for (let i = 0; i < 250 && line.isOpen; i++) {
      line.socket.write(filler);
      if (i % 25 === 0) await sleep(1);
    }
    await Promise.race([line.ended, sleep(5000)]);
    line.socket.destroy();
  }
}

async function smuggle(first: number): Promise<void> {
  for (let i = first; isTime(); i++) {
    const line = await dial();
    if (!line) continue;
    listen(line);
    line.socket.write(smuggled[i % smuggled.length]?.bytes ?? "", "latin1");
    await Promise.race([line.ended, sleep(2000)]);
    line.socket.destroy();
  }
}

async function reset(): Promise<void> {
  while (isTime()) {
    const line = await dial(true);
    if (!line) {
      await sleep(20);
      continue;
    }
    line.socket.resume();
    line.socket.write(Buffer.concat([http2Preface, settingsFrame()]));
    for (let id = 1; line.isOpen && isTime() && id < 100_000; id += 2) {
      const both = Buffer.concat([getHeaders(id, "/large"), frame(3, 0, id, Buffer.from([0, 0, 0, 8]))]);
      if (!line.socket.write(both) || id % 101 === 0) await sleep(1);
    }
    line.socket.destroy();
  }
}

/**
 * Many, though not all in the same millisecond: the backlog of a listening socket is short, and on one machine the kernel
 * takes several megabytes for each connection that is not read, which is a load of its own.
 */
async function many(one: (index: number) => Promise<void>): Promise<void> {
  const all: Promise<void>[] = [];
  const pauseEvery = order.kind === "slow reader" ? 1 : 50;
  for (let i = 0; i < order.count; i++) {
    all.push(one(i));
    if (i % pauseEvery === pauseEvery - 1) await sleep(pauseEvery === 1 ? 15 : 5);
  }
  await Promise.all(all);
}

const attacks: Readonly<Record<Order["kind"], (index: number) => Promise<void>>> = {
  "slow headers": () => drip("GET /hello HTTP/1.1\r\nHost: target\r\nX-Slow: ", "a"),
  "slow body": () =>
    drip("POST /echo HTTP/1.1\r\nHost: target\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n", "a"),
  "slow reader": readNothing,
  "idle sockets": idle,
  "huge headers": sendHuge,
  smuggling: smuggle,
  "silent handshakes": silent,
  "rapid reset": reset,
};

await many(attacks[order.kind]);
isOver = true;
process.stdout.write(`${JSON.stringify({ opened, cut, open, longestMs, answers } satisfies Report)}\n`);
process.exit(0);
