import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { get } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { HttpPool } from "./http-pool.ts";
import { createHttpPool } from "./http-pool.ts";

/** What a reader made of an answer; undefined where it took it for none. */
type Read = { readonly status: number; readonly body: string } | undefined;

let pieces: readonly string[] = [];
let pool: HttpPool;
let port = 0;
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.once("close", () => sockets.delete(socket));
  socket.setNoDelay(true);
  socket.once("data", () => {
    const own = pieces;
    const send = (at: number): void => {
      if (at === own.length) socket.end();
      else socket.write(own[at] as string, "latin1", () => setImmediate(send, at + 1));
    };
    send(0);
  });
});

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  pool = createHttpPool(`http://127.0.0.1:${port}`);
});
after(async () => {
  await pool.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

const byUs = (takesWhole: boolean): Promise<Read> =>
  new Promise((resolve) => {
    let status = 0;
    let body = "";
    pool.send(
      { method: "GET", path: "/", headers: [], headTimeoutMs: 2000, bodyTimeoutMs: 2000 },
      {
        onHead: (told) => {
          status = told;
        },
        onChunk: (chunk) => {
          body += chunk.toString("latin1");
        },
        onEnd: () => resolve({ status, body }),
        ...(takesWhole && { onWhole: (told, _, whole) => resolve({ status: told, body: whole.toString("latin1") }) }),
        onFailure: () => resolve(undefined),
      },
    );
  });

const byNode = (): Promise<Read> =>
  new Promise((resolve) => {
    let answer: IncomingMessage | undefined;
    const request = get({ port, host: "127.0.0.1", agent: false }, (res) => {
      answer = res;
      let body = "";
      res.setEncoding("latin1");
      res.on("data", (chunk: string) => {
        body += chunk;
      });
      res.on("end", () => resolve(res.complete ? { status: res.statusCode ?? 0, body } : undefined));
      res.on("error", () => resolve(undefined));
    });
    // What comes behind a whole answer is an error to Node, and to us the end of the connection.
    request.on("error", () => {
      if (!answer?.complete) resolve(undefined);
    });
  });

const statusLines = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 404",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
];
const fields = [
  ...[
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 05",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: -1",
  ],
  ...[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
  ],
  ...[
    "transfer-encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: x\r\n chunked",
    "Connection: close",
    "X: y",
  ],
];
const bodies = [
  ...[
    "hello",
    "",
    "hell",
    "hello world",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
    "05\r\nhello\r\n0\r\n\r\n",
  ],
  ...[
    "5\nhello\n0\n\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "-1\r\n\r\n",
    "ffffffffff\r\nhello",
  ],
];
const informational = ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"];

const answers = fc.record({
  before: fc.constantFrom(...informational),
  statusLine: fc.constantFrom(...statusLines),
  lines: fc.array(fc.constantFrom(...fields), { maxLength: 3 }),
  lineEnd: fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r"),
  body: fc.constantFrom(...bodies),
  cuts: fc.array(fc.nat({ max: 200 }), { maxLength: 4 }),
  takesWhole: fc.boolean(),
  noise: fc.option(fc.tuple(fc.nat({ max: 200 }), fc.integer({ min: 0, max: 255 })), { freq: 4 }),
});

test("an answer that we take is what Node's parser makes of the same bytes, however it is cut", async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(answers, async ({ before: first, statusLine, lines, lineEnd, body, cuts, takesWhole, noise }) => {
      let text = `${first}${[statusLine, ...lines].join(lineEnd)}${lineEnd}${lineEnd}${body}`;
      if (noise && noise[0] < text.length) {
        text = text.slice(0, noise[0]) + String.fromCharCode(noise[1]) + text.slice(noise[0] + 1);
      }
      const places = [0, ...cuts.filter((at) => at < text.length).sort((a, b) => a - b), text.length];
      pieces = places.slice(1).map((to, i) => text.slice(places[i], to));
      const ours = await byUs(takesWhole);
      if (ours === undefined) return;
      taken++;
      assert.deepEqual(ours, await byNode(), JSON.stringify(text));
    }),
    { numRuns: 600 },
  );
  assert.ok(taken > 50, `only ${taken} answers were taken: nothing is compared`);
});
