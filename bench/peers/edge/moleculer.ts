import { ServiceBroker } from "moleculer";
import ApiGateway from "moleculer-web";
import { announce } from "../../child.ts";
import { type OrderBody, orderOf, status } from "../../edge/order.ts";
import { listening } from "./listening.ts";

/** Moleculer with its gateway, everything on one node; parameters checked by its own validator. */
const broker = new ServiceBroker({ logger: false });

broker.createService({
  name: "orders",
  actions: {
    status: () => status,
    place: {
      params: {
        shop: { type: "string", pattern: /^[a-z]{1,20}$/ },
        customer: {
          type: "object",
          props: { name: { type: "string", min: 1, max: 100 }, email: { type: "string", min: 3, max: 254 } },
        },
        items: {
          type: "array",
          min: 1,
          max: 50,
          items: {
            type: "object",
            props: {
              sku: { type: "string", pattern: /^[a-z0-9-]{1,40}$/ },
              quantity: { type: "number", integer: true, min: 1, max: 99 },
              price: { type: "number", integer: true, min: 0 },
            },
          },
        },
        express: "boolean",
        note: { type: "string", max: 500 },
      },
      handler: ({ params: { shop, ...body } }: { params: { shop: string } & OrderBody }) => orderOf(shop, body),
    },
  },
});

const gateway = broker.createService({
  name: "api",
  mixins: [ApiGateway],
  settings: {
    port: 0,
    ip: "127.0.0.1",
    routes: [
      {
        path: "/",
        bodyParsers: { json: true },
        aliases: { "GET status": "orders.status", "POST shops/:shop/orders": "orders.place" },
      },
    ],
  },
});

await broker.start();

announce(await listening((gateway as unknown as { server: import("node:http").Server }).server));
