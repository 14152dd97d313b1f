import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { announce } from "../child.ts";
import { announceCaller } from "./calling.ts";
import type { Exchange, Message } from "./message.ts";

/** `node:http2`, JSON, every call a stream of one session. */
const [side = "", address = ""] = process.argv.slice(2);

if (side === "callee") serve();
else announceCaller(callerTo(address));

function serve(): void {
  const server = createServer();
  server.on("stream", (stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const { message } = JSON.parse(Buffer.concat(chunks).toString()) as { message: Message };
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end(JSON.stringify({ message }));
    });
  });
  server.listen(0, "127.0.0.1", () => {
    announce({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
}

function callerTo(address: string): Exchange {
  const session = connect(address);
  return (message) =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":method": "POST", ":path": "/exchange", "content-type": "application/json" });
      const chunks: Buffer[] = [];
      stream.on("response", (headers) => {
        if (headers[":status"] !== 200) reject(new Error(`answered with ${headers[":status"]}`));
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => resolve((JSON.parse(Buffer.concat(chunks).toString()) as { message: Message }).message));
      stream.on("error", reject);
      stream.end(JSON.stringify({ message }));
    });
}
