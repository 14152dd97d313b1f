import { createServer, type Socket } from "node:net";
import { announce } from "../child.ts";
import { cargo } from "./cargo.ts";

/**
 * What stands behind every gateway: answers GET with a JSON of about 300 bytes, and everything else with the body that it
 * got. Plain sockets and no HTTP library, so that it is never what is measured; it shares its core with the load.
 */
const headOf = (bytes: number) =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`;
const getAnswer = Buffer.from(headOf(Buffer.byteLength(cargo)) + cargo);
const endOfHead = Buffer.from("\r\n\r\n");
let served = 0;

function serve(socket: Socket): void {
  let unread: Buffer | undefined;
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    let rest = unread ? Buffer.concat([unread, chunk]) : chunk;
    while (rest.length > 0) {
      const taken = take(rest, socket);
      if (taken === 0) break;
      rest = rest.subarray(taken);
    }
    unread = rest.length > 0 ? rest : undefined;
  });
}

/** Answers the request that `bytes` begins with, and tells its length; 0 while it is not whole. */
function take(bytes: Buffer, socket: Socket): number {
  const at = bytes.indexOf(endOfHead);
  if (at === -1) return 0;
  const bodyAt = at + endOfHead.length;
  if (bytes[0] === 0x47) {
    served++;
    socket.write(getAnswer);
    return bodyAt;
  }
  const head = bytes.toString("latin1", 0, bodyAt);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
  if (length === undefined) return takeChunked(bytes, bodyAt, head, socket);
  const end = bodyAt + Number(length);
  if (bytes.length < end) return 0;
  answer(socket, bytes.subarray(bodyAt, end));
  return end;
}

function takeChunked(bytes: Buffer, bodyAt: number, head: string, socket: Socket): number {
  if (!/\r\ntransfer-encoding: *chunked\r\n/i.test(head)) throw new Error(`a body without an end: ${head}`);
  const chunks: Buffer[] = [];
  for (let at = bodyAt; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at, "latin1");
    if (lineEnd === -1) return 0;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    at = lineEnd + 2 + size + 2;
    if (bytes.length < at) return 0;
    if (size === 0) {
      answer(socket, Buffer.concat(chunks));
      return at;
    }
    chunks.push(bytes.subarray(at - 2 - size, at - 2));
  }
}

function answer(socket: Socket, body: Buffer): void {
  served++;
  socket.write(Buffer.concat([Buffer.from(headOf(body.length)), body]));
}

const server = createServer(serve);
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  announce({ url: `http://127.0.0.1:${port}` }, { served: () => served });
});
