import { type Infer, t } from "plinth";

/** Larger than any price here, and exact wherever it is multiplied by a quantity. */
export const amountMax = 9_000_000_000_000;

/** An amount in the currency's minor unit: 1999 EUR is 19.99 euro, 500 JPY is 500 yen. */
export const Money = t.Object({
  amount: t.Integer({ minimum: 0, maximum: amountMax, description: "In the currency's minor unit." }),
  currency: t.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217 code." }),
});
export type Money = Infer<typeof Money>;

/** The currency in which prices are kept. */
export const baseCurrency = "EUR";
export const baseMinorDigits = 2;

/** Adds amounts of one currency. */
export function sum(amounts: readonly Money[], currency: string): Money {
  let total = 0;
  for (const money of amounts) {
    if (money.currency !== currency) throw new Error(`cannot add ${money.currency} to ${currency}`);
    total += money.amount;
  }
  return { amount: total, currency };
}

/** "19.99 EUR", for people to read. */
export function format(money: Money, minorDigits: number): string {
  const digits = String(money.amount).padStart(minorDigits + 1, "0");
  const whole = digits.slice(0, digits.length - minorDigits);
  return `${whole}${minorDigits > 0 ? `.${digits.slice(-minorDigits)}` : ""} ${money.currency}`;
}
