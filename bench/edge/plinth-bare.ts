import { app, contract, createRuntime, method, service } from "plinth";
import { announce } from "../child.ts";
import { Order, OrderRequest, orderOf, Status, status } from "./order.ts";

/**
 * Plinth with as little as it lets one have: open routes, no CORS, no limits, no traces, no access log. Its security headers,
 * deadlines, checks against overload and counts stay; they cannot be turned off.
 */
const orders = contract("orders", {
  methods: {
    getStatus: method({ http: "GET /status", response: Status, access: "public" }),
    placeOrder: method({
      http: "POST /shops/:shop/orders",
      request: OrderRequest,
      response: Order,
      access: "public",
    }),
  },
});

const ordersService = service(orders, {
  methods: {
    async getStatus() {
      return status;
    },
    async placeOrder({ shop, ...body }) {
      return orderOf(shop, body);
    },
  },
});

const definition = app({ name: "bench", services: [ordersService] });
const settings = { port: 0, accessLogSample: 0, traceSample: 0 };
const runtime = await createRuntime(definition, { management: false, settings });
const { gateway } = await runtime.start();

announce({ url: gateway });
