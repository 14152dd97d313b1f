import { app, contract, createRuntime, method, service, t, tokens } from "plinth";
import { announce } from "../child.ts";
import * as shapes from "./shapes.ts";
import * as store from "./store.ts";

/**
 * Catalogue, cart and checkout on Plinth: all in this process, or one group of them. Everything is on that Plinth has, and
 * each request has its line in the access log, as those of the peers have.
 */
const catalog = contract("catalog", {
  methods: {
    listProducts: method({ http: "GET /products", request: shapes.Filter, response: shapes.Page, access: "public" }),
    getProduct: method({
      http: "GET /products/:id",
      request: t.Object({ id: shapes.Id }),
      response: shapes.Product,
      errors: { PRODUCT_UNKNOWN: "not_found" },
      access: "public",
    }),
    describeProducts: method({ request: shapes.Ids, response: shapes.Described, access: "public", idempotent: true }),
  },
});

const catalogService = service(catalog, {
  methods: {
    listProducts: async (filter) => store.listProducts(filter),
    async getProduct({ id }, { fail }) {
      const product = store.findProduct(id);
      if (!product) throw fail("PRODUCT_UNKNOWN", `There is no product "${id}".`);
      return product;
    },
    describeProducts: async ({ ids }) => ({ products: store.describeProducts(ids) }),
  },
});

const cart = contract("cart", {
  methods: {
    getCart: method({ http: "GET /cart", response: shapes.Cart, idempotent: true }),
    setItem: method({
      http: "PUT /cart/items/:productId",
      request: t.Object({ productId: shapes.Id, quantity: shapes.Quantity }),
      response: shapes.Cart,
      errors: { PRODUCT_UNKNOWN: "not_found", CART_FULL: "failed_precondition" },
    }),
    emptyCart: method({ http: "DELETE /cart" }),
  },
});

const cartService = service(cart, {
  needs: { catalog },
  methods: {
    async getCart(_request, { catalog, principal: { subject } }) {
      const { products } = await catalog.describeProducts({ ids: store.idsInCart(subject) });
      return store.cartOf(subject, products) as Writable<store.Cart>;
    },
    async setItem({ productId, quantity }, { catalog, principal: { subject }, fail }) {
      const ids = [...new Set([...store.idsInCart(subject), productId])];
      const { products } = await catalog.describeProducts({ ids });
      if (!products.some(({ id }) => id === productId)) throw fail("PRODUCT_UNKNOWN", `There is no "${productId}".`);
      if (!store.putIntoCart(subject, productId, quantity)) throw fail("CART_FULL", "A cart holds 50 products.");
      return store.cartOf(subject, products) as Writable<store.Cart>;
    },
    async emptyCart(_request, { principal: { subject } }) {
      store.emptyCart(subject);
    },
  },
});

const checkout = contract("checkout", {
  methods: {
    placeOrder: method({
      http: "POST /orders",
      request: shapes.OrderRequest,
      response: shapes.Order,
      status: 201,
      errors: { CART_EMPTY: "failed_precondition", CARD_DECLINED: "failed_precondition" },
    }),
  },
});

const checkoutService = service(checkout, {
  needs: { cart },
  methods: {
    async placeOrder({ card, shipTo, key }, { cart, principal: { subject }, fail }) {
      const before = store.findOrder(subject, key);
      if (before) return before as Writable<store.Order>;
      const bought = await cart.getCart();
      if (bought.items.length === 0) throw fail("CART_EMPTY", "There is nothing in the cart.");
      if (store.isDeclined(card)) throw fail("CARD_DECLINED", "The bank declined the card.");
      const order = store.placeOrder(subject, key, bought, shipTo);
      await cart.emptyCart();
      return order as Writable<store.Order>;
    },
  },
});

/** Signs customers in. */
const desk = contract("desk", {
  methods: { signIn: method({ request: t.Object({ id: t.String() }), response: t.Object({ token: t.String() }) }) },
});
const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: { signIn: ({ id }, { tokens }) => tokens.issue({ subject: id }) },
});

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

const definition = app({
  name: "three",
  services: [catalogService, cartService, checkoutService, deskService],
  placement: { edge: ["gateway", "desk"], catalog: ["catalog"], cart: ["cart"], checkout: ["checkout"] },
});

const [group] = process.argv.slice(2);
const runtime = await createRuntime(definition, { group, settings: { port: 0, managementPort: 0 } });
const { gateway } = await runtime.start();
const isEdge = gateway !== undefined;

announce(
  { url: gateway },
  {
    async tokens(count: number) {
      if (!isEdge) return [];
      const ids = Array.from({ length: count }, (_, i) => `customer-${i}`);
      return Promise.all(ids.map(async (id) => (await runtime.client(desk).signIn({ id })).token));
    },
    orders: () => store.countOrders(),
  },
);
