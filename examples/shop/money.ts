import { type Infer, t } from "plinth";

/** An amount in the currency's minor unit: 1999 EUR is 19.99 euro, 500 JPY is 500 yen. */
export const Money = t.Object({
  amount: t.Integer({
    minimum: -9_000_000_000_000,
    maximum: 9_000_000_000_000,
    description: "In the currency's minor unit.",
  }),
  currency: t.String({ pattern: "^[A-Z]{3}$", description: "ISO 4217 code." }),
});
export type Money = Infer<typeof Money>;

/** The currency in which prices are kept. */
export const baseCurrency = "EUR";

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
  const sign = money.amount < 0 ? "-" : "";
  const digits = String(Math.abs(money.amount)).padStart(minorDigits + 1, "0");
  const whole = digits.slice(0, digits.length - minorDigits);
  return `${sign}${whole}${minorDigits > 0 ? `.${digits.slice(-minorDigits)}` : ""} ${money.currency}`;
}
