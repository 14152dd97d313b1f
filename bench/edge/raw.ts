import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Ajv } from "ajv";
import { announce } from "../child.ts";
import { OrderBody, orderOf, shopPattern, status, statusPath } from "./order.ts";

/** The measure of all: `node:http` and the least code that answers correctly, with a compiled validator for the order. */
const accepts = new Ajv().compile<OrderBody>(OrderBody);

const server = createServer((req, res) => {
  const { method, url = "" } = req;
  if (method === "GET" && url === statusPath) return answer(res, 200, status);
  const [, shops, shop = "", orders, more] = url.split("/");
  if (method === "POST" && shops === "shops" && orders === "orders" && more === undefined) return order(req, res, shop);
  answer(res, 404, { error: "not found" });
});

function order(req: IncomingMessage, res: ServerResponse, shop: string): void {
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => {
    let body: unknown;
    try {
      body = JSON.parse(Buffer.concat(chunks).toString());
    } catch {
      return answer(res, 400, { error: "no JSON" });
    }
    if (!shopPattern.test(shop) || !accepts(body)) return answer(res, 400, { error: "invalid" });
    answer(res, 200, orderOf(shop, body));
  });
}

function answer(res: ServerResponse, code: number, value: unknown): void {
  const text = JSON.stringify(value);
  res.writeHead(code, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}

server.listen(0, "127.0.0.1", () => {
  announce({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
