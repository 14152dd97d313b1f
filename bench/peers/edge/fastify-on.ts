import { createRequire } from "node:module";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import fastifyJwt from "@fastify/jwt";
import fastifyRateLimit from "@fastify/rate-limit";
import { type FastifyReply, type FastifyRequest, LogController } from "fastify";
import { announce } from "../../child.ts";
import { Order, OrderBody, orderOf, Status, shopPattern, status } from "../../edge/order.ts";
import { answered } from "./answered.ts";
import { duration } from "./meter.ts";
import { type Claims, hasScope, origin, publicKey, quota } from "./settings.ts";
import { spans } from "./spans.ts";

/** Fastify with the plugins that its users take for production. EDGE_TOKEN_CACHE: remembers verified tokens, which is not the default. */
// OpenTelemetry instruments what is required; of modules that are imported it sees node:http alone.
const { fastify } = createRequire(import.meta.url)("fastify") as typeof import("fastify");

class OneLine extends LogController {
  override incomingRequest() {}
}

const server = fastify({ logger: true, logController: new OneLine() });

await server.register(fastifyHelmet);
await server.register(fastifyCors, { origin: [origin] });
await server.register(fastifyJwt, {
  secret: { public: publicKey },
  verify: { algorithms: ["ES256"], cache: process.env.EDGE_TOKEN_CACHE === "true" },
});
server.addHook("onRequest", authenticate);
await server.register(fastifyRateLimit, {
  max: quota,
  timeWindow: "1 minute",
  hook: "preHandler",
  keyGenerator: (request) => (request.user as Claims).sub,
});
server.addHook("onResponse", async (request, reply) => {
  const { method, routeOptions } = request;
  const labels = { method, route: routeOptions.url ?? "unknown", status_code: reply.statusCode };
  duration.observe(labels, reply.elapsedTime / 1000);
});

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

announce({ url: await server.listen({ port: 0, host: "127.0.0.1" }) }, { answered, spans });

async function authenticate(request: FastifyRequest, reply: FastifyReply) {
  await request.jwtVerify();
  if (!hasScope(request.user as Claims)) return reply.code(403).send({ error: "forbidden" });
}
