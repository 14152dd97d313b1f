import { fastify } from "fastify";

/** The greeter in Fastify, without a plugin. */
const server = fastify();

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
