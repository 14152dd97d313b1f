import Type from "typebox";

/**
 * What all candidates serve: a small answer, and an order of about 300 bytes with a nested object and three items, answered
 * with about as much. One schema for all, so that all check the same.
 */
export const statusPath = "/status";
export const status = { status: "ok", region: "north", version: "1.4.2" };
export const Status = Type.Object({ status: Type.String(), region: Type.String(), version: Type.String() });

const Customer = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 100 }),
  email: Type.String({ minLength: 3, maxLength: 254 }),
});

const Item = Type.Object({
  sku: Type.String({ pattern: "^[a-z0-9-]{1,40}$" }),
  quantity: Type.Integer({ minimum: 1, maximum: 99 }),
  price: Type.Integer({ minimum: 0 }),
});

const fields = {
  customer: Customer,
  items: Type.Array(Item, { minItems: 1, maxItems: 50 }),
  express: Type.Boolean(),
  note: Type.String({ maxLength: 500 }),
};

/** The body. */
export const OrderBody = Type.Object(fields);
export type OrderBody = Type.Static<typeof OrderBody>;
/** The body, and the path's parameter. */
export const OrderRequest = Type.Object({ shop: Type.String({ pattern: "^[a-z]{1,20}$" }), ...fields });
export const shopPattern = /^[a-z]{1,20}$/;

export const Order = Type.Object({
  id: Type.String(),
  shop: Type.String(),
  customer: Customer,
  lines: Type.Array(Type.Object({ sku: Type.String(), quantity: Type.Integer(), price: Type.Integer() })),
  total: Type.Integer(),
  express: Type.Boolean(),
});

export function orderOf(shop: string, { customer, items, express }: OrderBody): Type.Static<typeof Order> {
  let total = express ? 900 : 0;
  const lines = items.map(({ sku, quantity, price }) => {
    total += quantity * price;
    return { sku, quantity, price: quantity * price };
  });
  return { id: "0b7c5d0e-9f61-4f5c-8a3e-6d1f2b3c4d5e", shop, customer, lines, total, express };
}

export const orderPath = "/shops/harbour/orders";
export const orderBody: OrderBody = {
  customer: { name: "Ada Lovelace", email: "ada@example.com" },
  items: [
    { sku: "earl-grey-loose-250g", quantity: 2, price: 1450 },
    { sku: "cup-white-porcelain", quantity: 4, price: 1200 },
    { sku: "honey-acacia-500g", quantity: 1, price: 899 },
  ],
  express: true,
  note: "Please leave it with the neighbour.",
};
/** 422: a quantity of nothing. */
export const wrongBody: OrderBody = {
  ...orderBody,
  items: [{ sku: "earl-grey-loose-250g", quantity: 0, price: 1450 }],
};
