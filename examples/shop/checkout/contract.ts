import { contract, event, type Infer, method, t } from "plinth";
import { CartItem } from "../cart/contract.ts";
import { Money } from "../money.ts";
import { Card } from "../payment/contract.ts";

export const Address = t.Object({
  name: t.String({ minLength: 1, maxLength: 100 }),
  street: t.String({ minLength: 1, maxLength: 200 }),
  city: t.String({ minLength: 1, maxLength: 100 }),
  postalCode: t.String({ minLength: 1, maxLength: 20 }),
  country: t.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2 code." }),
});

export const Order = t.Object({
  id: t.String(),
  status: t.Union([t.Literal("placed"), t.Literal("failed")]),
  items: t.Array(CartItem),
  total: Money,
  shipTo: Address,
  placedAt: t.String({ format: "date-time" }),
});
export type Order = Infer<typeof Order>;

export const checkout = contract("checkout", {
  methods: {
    placeOrder: method({
      http: "POST /orders",
      summary: "Buys what is in the cart",
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
        CARD_INVALID: "invalid_argument",
        CARD_EXPIRED: "failed_precondition",
        CARD_DECLINED: "failed_precondition",
      },
    }),
    getOrder: method({
      http: "GET /orders/:id",
      summary: "One of your orders",
      request: t.Object({ id: t.String() }),
      response: Order,
      errors: { ORDER_UNKNOWN: "not_found" },
    }),
    listOrders: method({
      http: "GET /orders",
      summary: "Your orders, newest first",
      request: t.Object({ limit: t.Optional(t.Integer({ minimum: 1, maximum: 100, default: 20 })) }),
      response: t.Object({ orders: t.Array(Order) }),
    }),
  },
  events: {
    OrderStarted: event({
      key: "orderId",
      description: "An order is about to be paid for. Checkout itself listens, and cleans up what was left halfway.",
      payload: t.Object({ orderId: t.String() }),
    }),
    OrderPlaced: event({
      key: "orderId",
      description: "An order is paid for and on its way.",
      payload: t.Object({
        orderId: t.String(),
        accountId: t.String(),
        recipient: t.Object({ name: t.String(), email: t.String() }),
        items: t.Array(CartItem),
        total: Money,
        minorDigits: t.Integer({ description: "Of the currency of `total`." }),
        shipTo: Address,
        placedAt: t.String({ format: "date-time" }),
      }),
    }),
  },
});
