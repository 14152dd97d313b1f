import { contract, event, method, t } from "plinth";
import { Id, line } from "../text.ts";

const Key = line({ min: 1, max: 200, description: "The caller's name for what is reserved: the id of an order." });
const Items = t.Array(t.Object({ productId: Id, quantity: t.Integer({ minimum: 1, maximum: 99 }) }), { maxItems: 50 });

/** How much there is, as customers are told. */
export const StockLevel = t.Union([t.Literal("plenty"), t.Literal("low"), t.Literal("none")]);

export const inventory = contract("inventory", {
  methods: {
    getStock: method({
      http: "GET /products/:productId/stock",
      summary: "How many there are, at this moment",
      request: t.Object({ productId: Id }),
      response: t.Object({ productId: Id, available: t.Integer(), level: StockLevel }),
      errors: { STOCK_UNKNOWN: "not_found" },
      access: "public",
    }),
    receive: method({
      http: "PUT /products/:productId/deliveries/:deliveryId",
      summary: "Takes a delivery in, once for each id",
      request: t.Object({
        productId: Id,
        deliveryId: Id,
        quantity: t.Integer({ minimum: 1, maximum: 1_000_000 }),
      }),
      response: t.Object({ productId: Id, available: t.Integer() }),
      errors: { DELIVERY_REUSED: "already_exists" },
      access: { scope: "stock:write" },
    }),
    reserve: method({
      summary: "Keeps all of these things for a key, or none of them",
      request: t.Object({ key: Key, items: Items }),
      errors: {
        OUT_OF_STOCK: "failed_precondition",
        RESERVATION_REUSED: "already_exists",
        RESERVATION_VOID: "failed_precondition",
      },
      // The same key reserves once, so a lost answer may be asked for again.
      idempotent: true,
    }),
    release: method({
      summary: "Gives back whatever the key has reserved, once, and makes sure that it never reserves again",
      request: t.Object({ key: Key }),
      errors: { RESERVATION_SOLD: "failed_precondition" },
      idempotent: true,
    }),
  },
  events: {
    StockReserved: event({
      key: "orderId",
      description: "These things are kept for an order.",
      payload: t.Object({ orderId: t.String(), items: Items }),
    }),
    StockReleased: event({
      key: "orderId",
      description: "What was kept for an order can be sold to others again.",
      payload: t.Object({ orderId: t.String(), items: Items }),
    }),
    StockLevelChanged: event({
      key: "productId",
      description: "A product became scarce or ran out, or there is plenty of it again.",
      payload: t.Object({
        productId: Id,
        level: StockLevel,
        available: t.Integer(),
        version: t.Integer({ description: "Grows with each change of this product's stock." }),
      }),
    }),
    ReservationOverdue: event({
      key: "orderId",
      description: "Something is kept for an order for too long. Who made the order decides: sold, or given back.",
      payload: t.Object({ orderId: t.String() }),
    }),
  },
});
