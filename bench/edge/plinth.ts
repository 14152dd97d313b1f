import { app, contract, createRuntime, method, service, t, tokens } from "plinth";
import { announce } from "../child.ts";
import { Order, OrderRequest, orderOf, Status, status } from "./order.ts";

/**
 * Plinth with everything on that production needs: tokens (ES256, remembered once verified) with a scope, a limit for each
 * principal, validation, answers by schema, security headers, CORS, a histogram for each route, the access log, traces,
 * deadlines, and the defence against overload.
 */
const access = { scope: "orders" };
const orders = contract("orders", {
  methods: {
    getStatus: method({ http: "GET /status", response: Status, access }),
    placeOrder: method({ http: "POST /shops/:shop/orders", request: OrderRequest, response: Order, access }),
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

const Token = t.Object({ token: t.String(), weakToken: t.String() });
const desk = contract("desk", { methods: { signIn: method({ response: Token }) } });

const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: {
    async signIn(_request, { tokens }) {
      const { token } = await tokens.issue({ subject: "ada", scopes: ["orders"], ttl: "30m" });
      const { token: weakToken } = await tokens.issue({ subject: "bob", scopes: ["reading"], ttl: "30m" });
      return { token, weakToken };
    },
  },
});

const definition = app({
  name: "bench",
  services: [ordersService, deskService],
  gateway: {
    cors: { origins: [process.env.EDGE_ORIGIN ?? ""] },
    limits: [{ quota: Number(process.env.EDGE_QUOTA), window: "1m" }],
  },
});

const runtime = await createRuntime(definition, { settings: { port: 0, managementPort: 0 } });
const { gateway } = await runtime.start();

announce(
  { url: gateway, ...(await runtime.client(desk).signIn()) },
  { spans: () => runtime.tracer.stats.finished, answered },
);

/** What a scrape would show. */
async function answered(): Promise<number> {
  const { body } = await runtime.metrics.render();
  const counts = body.matchAll(/^http_server_request_duration_seconds_count\{.*\} (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
