import { connect, type Socket } from "node:net";
import { announce } from "../child.ts";
import type { LoadOptions, LoadRequest, LoadResult } from "./measurement.ts";

/** A load generator over plain sockets: no client library, no object for each request. */
const { request, connections, seconds } = JSON.parse(process.argv[2] ?? "") as LoadOptions;
const bytes = bytesOf(request);
const { hostname, port } = new URL(request.url);
const durations: number[] = [];
let failures = 0;
let endAt = 0;

announce({}, { run });

async function run(): Promise<LoadResult> {
  const startedAt = performance.now();
  endAt = startedAt + seconds * 1000;
  await Promise.all(Array.from({ length: connections }, runConnection));
  const took = (performance.now() - startedAt) / 1000;
  const sorted = Float64Array.from(durations).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { requests: sorted.length, seconds: took, p50Ms: at(0.5), p99Ms: at(0.99), failures };
}

function runConnection(): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(Number(port), hostname);
    let received = Buffer.alloc(0);
    let sentAt = 0;
    const send = () => {
      sentAt = performance.now();
      socket.write(bytes);
    };
    socket.setNoDelay(true);
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const length = lengthOf(received);
      if (length === undefined || received.length < length) return;
      // "HTTP/1.1 200": the tenth byte tells the class.
      if (received[9] !== 0x32) failures++;
      received = received.subarray(length);
      const now = performance.now();
      durations.push(now - sentAt);
      if (now < endAt) send();
      else socket.end();
    });
    socket.on("error", () => failures++);
    socket.on("close", () => resolve());
  });
}

/** The bytes of an answer, from its head; undefined while that is not there. */
function lengthOf(received: Buffer): number | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.toString("latin1", 0, end));
  return end + 4 + Number(length?.[1] ?? 0);
}

function bytesOf({ method, url, headers, body = "" }: LoadRequest): Buffer {
  const { pathname, search, host } = new URL(url);
  const fields = { host, ...headers, ...(body !== "" && { "content-length": String(Buffer.byteLength(body)) }) };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}
