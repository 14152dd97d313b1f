import { type FastifyInstance, fastify } from "fastify";

/** The team's Fastify app, as it was before. Nothing in it knows of Plinth. */
export function addBookshop(server: FastifyInstance): FastifyInstance {
  const books = [{ isbn: "9780141439518", title: "Pride and Prejudice" }];
  server.get("/books", async () => ({ books }));
  server.post<{ Body: { isbn: string; title: string } }>("/books", async (request, reply) => {
    books.push(request.body);
    return reply.status(201).send({ count: books.length });
  });
  return server;
}

/** Its reports, a Fastify app of their own. */
export function createReports(): FastifyInstance {
  const reports = fastify();
  // What the reports pass on to whatever they call.
  reports.get("/sales", async (request) => ({ sold: 41, traceparent: request.headers.traceparent }));
  // Nobody has ever seen this one end.
  reports.get("/year", () => new Promise(() => {}));
  return reports;
}
