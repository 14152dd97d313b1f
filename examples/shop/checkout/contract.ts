import { contract, event, type Infer, method, resource, t } from "plinth";
import { CartItem } from "../cart/contract.ts";
import { Money } from "../money.ts";
import { Card } from "../payment/contract.ts";
import { Address, Id, line } from "../text.ts";

/** `items` and `delivery` are told in euro, as the shop reckons; `total` is what was paid for both. */
export const Order = t.Object({
  id: Id,
  status: t.Union([t.Literal("placed"), t.Literal("failed")], {
    description: "failed: something broke on our side while it was paid for. What was charged has been given back.",
  }),
  items: t.Array(CartItem),
  delivery: Money,
  total: Money,
  shipTo: Address,
  createdAt: t.String({ format: "date-time" }),
});
export type Order = Infer<typeof Order>;

/** An order is the business of whoever placed it. */
const order = resource<Order & { readonly accountId: string }>()("order");

export const checkout = contract("checkout", {
  methods: {
    placeOrder: method({
      http: "POST /orders",
      // One answer for each Idempotency-Key.
      idempotent: "keyed",
      summary: "Buys what is in the cart",
      description:
        "With an Idempotency-Key the same order sent twice is bought once, and the second answer is that of the first, " +
        "also when that was a refusal. A declined card, or a thing that is sold out, leaves no order: try again with a new key.",
      request: t.Object({
        card: Card,
        shipTo: Address,
        currency: t.Optional(t.String({ pattern: "^[A-Z]{3}$", description: "In which to pay. Default EUR." })),
      }),
      response: Order,
      status: 201,
      errors: {
        CART_EMPTY: "failed_precondition",
        CURRENCY_UNKNOWN: "invalid_argument",
        OUT_OF_STOCK: "failed_precondition",
        CARD_INVALID: "invalid_argument",
        CARD_EXPIRED: "failed_precondition",
        CARD_DECLINED: "failed_precondition",
        ORDER_IN_PROGRESS: "aborted",
        ORDER_FAILED: "aborted",
      },
    }),
    getOrder: method({
      http: "GET /orders/:id",
      summary: "One of your orders",
      request: t.Object({ id: Id }),
      response: Order,
      errors: { ORDER_UNKNOWN: "not_found" },
      access: { resource: order, can: (who, _request, { accountId }) => accountId === who.subject },
    }),
    listOrders: method({
      http: "GET /orders",
      summary: "Your orders, newest first, page by page",
      request: t.Object({
        limit: t.Optional(t.Integer({ minimum: 1, maximum: 100, default: 20 })),
        after: t.Optional(line({ max: 64, description: "The id of the last order of the page before." })),
      }),
      response: t.Object({ orders: t.Array(Order) }),
    }),
  },
  events: {
    OrderStarted: event({
      key: "orderId",
      description: "An order is about to be paid for. Checkout itself listens, and cleans up what was left halfway.",
      payload: t.Object({ orderId: Id }),
    }),
    OrderPlaced: event({
      key: "orderId",
      description: "An order is paid for and on its way.",
      payload: t.Object({
        orderId: Id,
        accountId: t.String(),
        recipient: t.Object({ name: t.String(), email: t.String() }),
        items: t.Array(CartItem),
        delivery: Money,
        total: Money,
        minorDigits: t.Integer({ description: "Of the currency of `total`." }),
        shipTo: Address,
        placedAt: t.String({ format: "date-time" }),
      }),
    }),
  },
});
