import { contract, type Infer, method, t } from "plinth";
import { Money } from "../money.ts";
import { Id } from "../text.ts";

export const CartItem = t.Object({
  productId: Id,
  name: t.String(),
  quantity: t.Integer({ minimum: 1, maximum: 99 }),
  grams: t.Integer({ description: "What one weighs." }),
  unitPrice: Money,
  price: Money,
});

export const Cart = t.Object({
  items: t.Array(CartItem),
  total: Money,
  converted: t.Optional(Money),
});
export type Cart = Infer<typeof Cart>;

export const cart = contract("cart", {
  methods: {
    getCart: method({
      http: "GET /cart",
      summary: "The cart of whoever is signed in",
      request: t.Object({
        currency: t.Optional(
          t.String({ pattern: "^[A-Z]{3}$", description: "In which to tell the total a second time." }),
        ),
      }),
      response: Cart,
      errors: { CURRENCY_UNKNOWN: "invalid_argument" },
      idempotent: true,
    }),
    setItem: method({
      http: "PUT /cart/items/:productId",
      summary: "Puts a product into the cart, or changes how many",
      request: t.Object({ productId: Id, quantity: t.Integer({ minimum: 1, maximum: 99 }) }),
      response: Cart,
      errors: { PRODUCT_UNKNOWN: "not_found", CART_FULL: "failed_precondition" },
    }),
    removeItem: method({
      http: "DELETE /cart/items/:productId",
      summary: "Takes a product out of the cart",
      request: t.Object({ productId: Id }),
      response: Cart,
    }),
    emptyCart: method({ http: "DELETE /cart", summary: "Empties the cart" }),
  },
});
