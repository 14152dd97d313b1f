import { fastify } from "fastify";
import { createRuntime, type RuntimeOptions } from "plinth";
import bookshop from "./app.ts";
import { addBookshop } from "./before/fastify.ts";

/** Plinth inside an existing Fastify app: the moved endpoints are Plinth's, everything else stays as it was. */
export async function startInsideFastify(port: number, options: RuntimeOptions = {}) {
  const plinth = await createRuntime(bookshop, { ...options, listen: false });
  await plinth.start();

  const outer = fastify();
  // `onRequest` runs before anything reads a body. A path that is not in a contract goes on to Fastify's own routes.
  outer.addHook("onRequest", (request, reply, next) => plinth.handler?.(request.raw, reply.raw, next));
  outer.addHook("onClose", async () => void (await plinth.stop()));
  addBookshop(outer);

  return { url: await outer.listen({ port, host: "127.0.0.1" }), plinth, stop: () => outer.close() };
}
