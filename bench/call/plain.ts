import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";
import { announce } from "../child.ts";
import { announceCaller } from "./calling.ts";
import type { Exchange, Message } from "./message.ts";

/** What a program without Plinth would write: `node:http` on one side, a keep-alive pool of undici on the other, JSON. */
const [side = "", url = ""] = process.argv.slice(2);

if (side === "callee") serve();
else announceCaller(callerTo(url));

function serve(): void {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const { message } = JSON.parse(Buffer.concat(chunks).toString()) as { message: Message };
      const text = JSON.stringify({ message });
      res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
      res.end(text);
    });
  });
  server.listen(0, "127.0.0.1", () => {
    announce({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
}

function callerTo(address: string): Exchange {
  const pool = new Pool(address, { connections: 64, pipelining: 1 });
  return async (message) => {
    const { statusCode, body } = await pool.request({
      path: "/exchange",
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    const answer = (await body.json()) as { message: Message };
    assert.equal(statusCode, 200);
    return answer.message;
  };
}
