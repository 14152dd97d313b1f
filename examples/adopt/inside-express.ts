import { once } from "node:events";
import type { AddressInfo } from "node:net";
import express from "express";
import { createRuntime, type RuntimeOptions } from "plinth";
import bookshop from "./app.ts";
import { createBookshop } from "./before/express.ts";

/** Plinth inside an existing Express app: the moved endpoints are Plinth's, everything else stays as it was. */
export async function startInsideExpress(port: number, options: RuntimeOptions = {}) {
  const plinth = await createRuntime(bookshop, { ...options, listen: false });
  await plinth.start();

  const outer = express();
  // First of all, before anything reads a body. A path that is not in a contract goes on to the next handler.
  if (plinth.handler) outer.use(plinth.handler);
  outer.use(createBookshop());

  const server = outer.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plinth,
    async stop() {
      server.close();
      await plinth.stop();
    },
  };
}
