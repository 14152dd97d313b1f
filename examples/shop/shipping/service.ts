import { database, newId, service } from "plinth";
import { checkout } from "../checkout/contract.ts";
import { type Shipment, shipping } from "./contract.ts";
import { sendingCost } from "./tariff.ts";

interface ShipmentRow {
  order_id: string;
  account_id: string;
  tracking_id: string;
  shipped_at: string;
  delivered_at: string | null;
}

function toShipment({ order_id, tracking_id, shipped_at, delivered_at }: ShipmentRow): Shipment {
  const status = delivered_at === null ? "shipped" : "delivered";
  return { orderId: order_id, trackingId: tracking_id, status, shippedAt: shipped_at };
}

/** Each placed order is sent once: its row, its tracking id and `Shipped` come into being together. */
export default service(shipping, {
  needs: { db: database({ migrations: new URL("./migrations/", import.meta.url) }) },
  resources: {
    async shipment({ orderId }, { db }) {
      const [row] = await db.sql<ShipmentRow>`select * from shipments where order_id = ${orderId}`;
      return row && { ...toShipment(row), accountId: row.account_id };
    },
  },
  methods: {
    async quote({ country, grams, value }) {
      return sendingCost(country, grams, value);
    },

    getShipment: async (_request, { resource }) => resource,

    async markDelivered({ trackingId }, { db, fail }) {
      const [row] = await db.sql<ShipmentRow>`
        update shipments set delivered_at = coalesce(delivered_at, now()) where tracking_id = ${trackingId} returning *`;
      if (!row) throw fail("SHIPMENT_UNKNOWN", `There is no parcel "${trackingId}".`);
      return toShipment(row);
    },
  },
  subscriptions: {
    sendOrder: {
      event: checkout.OrderPlaced,
      async handle({ orderId, accountId, recipient, shipTo }, { tx, events }) {
        const trackingId = newId();
        const [row] = await tx.sql<ShipmentRow>`
          insert into shipments (order_id, account_id, tracking_id, country)
          values (${orderId}, ${accountId}, ${trackingId}, ${shipTo.country})
          on conflict (order_id) do nothing returning *`;
        if (!row) return;
        const { days } = sendingCost(shipTo.country, 0);
        const shipped = { orderId, accountId, recipient, shipTo, trackingId, days, shippedAt: row.shipped_at };
        await events.publish(shipping.Shipped, shipped, { in: tx });
      },
    },
  },
});
