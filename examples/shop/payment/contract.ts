import { contract, event, type Infer, method, t } from "plinth";
import { Money } from "../money.ts";
import { line } from "../text.ts";

const Key = line({ min: 1, max: 200, description: "The caller's name for what is paid for." });

export const Card = t.Object({
  number: t.String({ pattern: "^[0-9 ]{12,23}$", description: "Digits, spaces allowed." }),
  expiryMonth: t.Integer({ minimum: 1, maximum: 12 }),
  expiryYear: t.Integer({ minimum: 2000, maximum: 2100 }),
  cvc: t.String({ pattern: "^[0-9]{3,4}$" }),
});
export type Card = Infer<typeof Card>;

/** Internal: no route leads here from outside. */
export const payment = contract("payment", {
  methods: {
    charge: method({
      summary: "Charges a card once for each key",
      request: t.Object({ key: Key, amount: Money, card: Card }),
      response: t.Object({ chargeId: t.String(), last4: t.String() }),
      errors: {
        CARD_INVALID: "invalid_argument",
        CARD_EXPIRED: "failed_precondition",
        CARD_DECLINED: "failed_precondition",
        CHARGE_KEY_REUSED: "already_exists",
        CHARGE_KEY_VOID: "failed_precondition",
      },
      // The same key charges once, so a lost answer may be asked for again.
      idempotent: true,
    }),
    refund: method({
      summary: "Gives back whatever the key has charged, once, and makes sure that it never charges again",
      request: t.Object({ key: Key }),
      idempotent: true,
    }),
  },
  // A key is the id of an order here.
  events: {
    PaymentCaptured: event({
      key: "orderId",
      description: "A card was charged for an order.",
      payload: t.Object({ orderId: Key, chargeId: t.String(), amount: Money }),
    }),
    PaymentRefunded: event({
      key: "orderId",
      description: "What was charged for an order has been given back.",
      payload: t.Object({ orderId: Key, chargeId: t.String(), amount: Money }),
    }),
  },
});
