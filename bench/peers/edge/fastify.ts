import { fastify } from "fastify";
import { announce } from "../../child.ts";
import { Order, OrderBody, orderOf, Status, shopPattern, status } from "../../edge/order.ts";

/** Fastify without a plugin: routes, and what it compiles from schemas. */
const server = fastify();

server.get("/status", { schema: { response: { 200: Status } } }, async () => status);

server.post<{ Params: { shop: string }; Body: OrderBody }>(
  "/shops/:shop/orders",
  {
    schema: {
      params: { type: "object", properties: { shop: { type: "string", pattern: shopPattern.source } } },
      body: OrderBody,
      response: { 200: Order },
    },
  },
  async (request) => orderOf(request.params.shop, request.body),
);

announce({ url: await server.listen({ port: 0, host: "127.0.0.1" }) });
