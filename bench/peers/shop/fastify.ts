import fastifyJwt from "@fastify/jwt";
import { type FastifyRequest, fastify } from "fastify";
import { request as ask } from "undici";
import { announce } from "../../child.ts";
import * as shapes from "../../shop/shapes.ts";
import * as store from "../../shop/store.ts";

/**
 * Catalogue, cart or checkout as a Fastify service of its own, as its users write them: JSON Schema both ways, its logger,
 * tokens checked by each service, calls to the others by undici with the caller's token.
 * `fastify.ts catalog`, `fastify.ts cart CATALOG_URL`, `fastify.ts checkout CART_URL`.
 */
const [name = "", other = ""] = process.argv.slice(2);
const server = fastify({ logger: true });
await server.register(fastifyJwt, {
  secret: { public: process.env.SHOP_KEY ?? "" },
  verify: { algorithms: ["ES256"] },
});

const signedIn = { onRequest: async (request: FastifyRequest) => void (await request.jwtVerify()) };
const subjectOf = (request: FastifyRequest): string => (request.user as { sub: string }).sub;
const Problem = { type: "object", properties: { reason: { type: "string" } } };

if (name === "catalog") {
  server.get<{ Querystring: store.Filter }>(
    "/products",
    { schema: { querystring: shapes.Filter, response: { 200: shapes.Page } } },
    async (request) => store.listProducts(request.query),
  );
  server.get<{ Params: { id: string } }>(
    "/products/:id",
    { schema: { params: { type: "object", properties: { id: shapes.Id } }, response: { 200: shapes.Product } } },
    async (request, reply) =>
      store.findProduct(request.params.id) ?? reply.code(404).send({ reason: "PRODUCT_UNKNOWN" }),
  );
  server.post<{ Body: { ids: string[] } }>(
    "/internal/descriptions",
    { schema: { body: shapes.Ids, response: { 200: shapes.Described } } },
    async (request) => ({ products: store.describeProducts(request.body.ids) }),
  );
}

if (name === "cart") {
  const describe = async (ids: readonly string[]): Promise<store.Described[]> => {
    const { statusCode, body } = await ask(`${other}/internal/descriptions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ids }),
    });
    if (statusCode !== 200) throw new Error(`the catalogue answers ${statusCode}`);
    return ((await body.json()) as { products: store.Described[] }).products;
  };
  server.get("/cart", { ...signedIn, schema: { response: { 200: shapes.Cart } } }, async (request) => {
    const customer = subjectOf(request);
    return store.cartOf(customer, await describe(store.idsInCart(customer)));
  });
  server.put<{ Params: { productId: string }; Body: { quantity: number } }>(
    "/cart/items/:productId",
    {
      ...signedIn,
      schema: {
        params: { type: "object", properties: { productId: shapes.Id } },
        body: { type: "object", required: ["quantity"], properties: { quantity: shapes.Quantity } },
        response: { 200: shapes.Cart, "4xx": Problem },
      },
    },
    async (request, reply) => {
      const customer = subjectOf(request);
      const { productId } = request.params;
      const products = await describe([...new Set([...store.idsInCart(customer), productId])]);
      if (!products.some(({ id }) => id === productId)) return reply.code(404).send({ reason: "PRODUCT_UNKNOWN" });
      if (!store.putIntoCart(customer, productId, request.body.quantity)) {
        return reply.code(400).send({ reason: "CART_FULL" });
      }
      return store.cartOf(customer, products);
    },
  );
  server.delete("/cart", signedIn, async (request, reply) => {
    store.emptyCart(subjectOf(request));
    return reply.code(204).send();
  });
}

if (name === "checkout") {
  const askCart = async (method: "GET" | "DELETE", authorization = ""): Promise<store.Cart | undefined> => {
    const { statusCode, body } = await ask(`${other}/cart`, { method, headers: { authorization } });
    if (statusCode >= 300) throw new Error(`the cart answers ${statusCode}`);
    if (statusCode === 200) return (await body.json()) as store.Cart;
    await body.dump();
    return undefined;
  };
  server.post<{ Body: { card: store.Card; shipTo: store.Address; key: string } }>(
    "/orders",
    { ...signedIn, schema: { body: shapes.OrderRequest, response: { 201: shapes.Order, "4xx": Problem } } },
    async (request, reply) => {
      const customer = subjectOf(request);
      const { card, shipTo, key } = request.body;
      const { authorization } = request.headers;
      const before = store.findOrder(customer, key);
      if (before) return reply.code(201).send(before);
      const cart = await askCart("GET", authorization);
      if (!cart || cart.items.length === 0) return reply.code(400).send({ reason: "CART_EMPTY" });
      if (store.isDeclined(card)) return reply.code(400).send({ reason: "CARD_DECLINED" });
      const order = store.placeOrder(customer, key, cart, shipTo);
      await askCart("DELETE", authorization);
      return reply.code(201).send(order);
    },
  );
}

announce({ url: await server.listen({ port: 0, host: "127.0.0.1" }) }, { orders: () => store.countOrders() });
