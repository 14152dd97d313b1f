import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import fastifyJwt from "@fastify/jwt";
import fastifyRateLimit from "@fastify/rate-limit";
import { fastify } from "fastify";
import { duration } from "../edge/meter.ts";

/** The greeter in Fastify, with the plugins that its users take for production. */
const server = fastify({ logger: true });

await server.register(fastifyHelmet);
await server.register(fastifyCors, { origin: ["https://shop.example.com"] });
await server.register(fastifyJwt, { secret: process.env.START_SECRET ?? "" });
await server.register(fastifyRateLimit, { max: 1000, timeWindow: "1 minute" });
server.addHook("onResponse", async (request, reply) => {
  const { method, routeOptions } = request;
  const labels = { method, route: routeOptions.url ?? "unknown", status_code: reply.statusCode };
  duration.observe(labels, reply.elapsedTime / 1000);
});

server.get<{ Params: { name: string } }>(
  "/hello/:name",
  {
    schema: {
      params: { type: "object", properties: { name: { type: "string", maxLength: 50 } }, required: ["name"] },
      response: { 200: { type: "object", properties: { greeting: { type: "string" } }, required: ["greeting"] } },
    },
  },
  async ({ params }) => ({ greeting: `Hello, ${params.name}!` }),
);

await server.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
