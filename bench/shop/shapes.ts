import Type from "typebox";

/** What the three services take and give, for all that check by JSON Schema. */
const line = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" });

export const Id = Type.String({ pattern: "^[A-Za-z0-9-]{1,64}$" });
export const Quantity = Type.Integer({ minimum: 1, maximum: 99 });

export const Money = Type.Object({
  amount: Type.Integer({ minimum: 0, maximum: 9_000_000_000_000 }),
  currency: Type.String({ pattern: "^[A-Z]{3}$" }),
});

export const Product = Type.Object({
  id: Id,
  name: Type.String(),
  description: Type.String(),
  category: Type.String(),
  grams: Type.Integer(),
  price: Money,
  stock: Type.Union([Type.Literal("plenty"), Type.Literal("low"), Type.Literal("none")]),
});

export const Filter = Type.Object({
  category: Type.Optional(line(60)),
  search: Type.Optional(line(100)),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  after: Type.Optional(Type.String({ maxLength: 1000 })),
});
export const Page = Type.Object({ products: Type.Array(Product), next: Type.Optional(Type.String()) });
export const Ids = Type.Object({ ids: Type.Array(Id, { maxItems: 200 }) });
export const Described = Type.Object({
  products: Type.Array(Type.Object({ id: Id, name: Type.String(), grams: Type.Integer(), price: Money })),
});

export const CartItem = Type.Object({
  productId: Id,
  name: Type.String(),
  quantity: Quantity,
  grams: Type.Integer(),
  unitPrice: Money,
  price: Money,
});
export const Cart = Type.Object({ items: Type.Array(CartItem), total: Money });

export const Address = Type.Object({
  name: line(100),
  street: line(200),
  city: line(100),
  postalCode: line(20),
  country: Type.String({ pattern: "^[A-Z]{2}$" }),
});
export const Card = Type.Object({
  number: Type.String({ pattern: "^[0-9 ]{12,23}$" }),
  expiryMonth: Type.Integer({ minimum: 1, maximum: 12 }),
  expiryYear: Type.Integer({ minimum: 2000, maximum: 2100 }),
  cvc: Type.String({ pattern: "^[0-9]{3,4}$" }),
});
/** The key stands in the body here: what it takes to honour the header differs too much to compare. */
export const OrderRequest = Type.Object({ card: Card, shipTo: Address, key: Id });
export const Order = Type.Object({
  id: Type.String(),
  status: Type.Literal("placed"),
  items: Type.Array(CartItem),
  total: Money,
  shipTo: Address,
  createdAt: Type.String(),
});
