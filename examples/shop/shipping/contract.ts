import { contract, event, type Infer, method, resource, t } from "plinth";
import { amountMax, Money } from "../money.ts";
import { Address, Id } from "../text.ts";

export const Shipment = t.Object({
  orderId: Id,
  trackingId: Id,
  status: t.Union([t.Literal("shipped"), t.Literal("delivered")]),
  shippedAt: t.String({ format: "date-time" }),
});
export type Shipment = Infer<typeof Shipment>;

/** A shipment is the business of whoever ordered it. */
const shipment = resource<Shipment & { readonly accountId: string }>()("shipment");

export const shipping = contract("shipping", {
  methods: {
    quote: method({
      http: "GET /shipping/quote",
      summary: "What it costs to send something, and how long it takes",
      request: t.Object({
        country: t.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2 code." }),
        grams: t.Integer({ minimum: 0, maximum: 100_000_000 }),
        value: t.Optional(
          t.Integer({ minimum: 0, maximum: amountMax, description: "Of the goods, in euro cents: much goes free." }),
        ),
      }),
      response: t.Object({ price: Money, days: t.Integer() }),
      access: "public",
    }),
    getShipment: method({
      http: "GET /orders/:orderId/shipment",
      summary: "Where one of your orders is",
      request: t.Object({ orderId: Id }),
      response: Shipment,
      errors: { SHIPMENT_UNKNOWN: "not_found" },
      access: { resource: shipment, can: (who, _request, { accountId }) => accountId === who.subject },
    }),
    markDelivered: method({
      http: "PUT /shipments/:trackingId/delivery",
      summary: "The parcel has arrived",
      request: t.Object({ trackingId: Id }),
      response: Shipment,
      errors: { SHIPMENT_UNKNOWN: "not_found" },
      access: { scope: "shipments:write" },
    }),
  },
  events: {
    Shipped: event({
      key: "orderId",
      description: "An order has left the house.",
      payload: t.Object({
        orderId: Id,
        accountId: t.String(),
        recipient: t.Object({ name: t.String(), email: t.String() }),
        shipTo: Address,
        trackingId: Id,
        days: t.Integer({ description: "Until it arrives." }),
        shippedAt: t.String({ format: "date-time" }),
      }),
    }),
  },
});
