import { app, contract, createRuntime, method, service, t, tokens } from "plinth";
import { announce } from "../child.ts";
import { Order, OrderRequest, orderOf, Status, status } from "./order.ts";

/**
 * Plinth with everything on that it has: routes that need a token (ES256, remembered), validation, answers by schema,
 * security headers, CORS, a histogram for each route, the access log and traces at their default of 1 %, deadlines.
 */
const orders = contract("orders", {
  methods: {
    getStatus: method({ http: "GET /status", response: Status }),
    placeOrder: method({ http: "POST /shops/:shop/orders", request: OrderRequest, response: Order }),
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

const desk = contract("desk", {
  methods: { signIn: method({ response: t.Object({ token: t.String() }) }) },
});

const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: {
    async signIn(_request, { tokens }) {
      return tokens.issue({ subject: "ada", scopes: ["orders"] });
    },
  },
});

const definition = app({
  name: "bench",
  services: [ordersService, deskService],
  gateway: { cors: { origins: ["https://shop.example"] } },
});

const runtime = await createRuntime(definition, { settings: { port: 0, managementPort: 0 } });
const { gateway, management } = await runtime.start();
const { token } = await runtime.client(desk).signIn();

announce({ url: gateway, management, token }, { spans: () => runtime.tracer.stats.finished });
