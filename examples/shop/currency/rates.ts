/**
 * Euro foreign exchange reference rates of the European Central Bank, as published for 29 December 2023
 * (ecb.europa.eu, "Euro foreign exchange reference rates"). One euro is `rate` of the other currency.
 * `minorDigits` after ISO 4217.
 */
export const ratesDate = "2023-12-29";
export const ratesSource = "European Central Bank, euro foreign exchange reference rates";

export interface Rate {
  readonly currency: string;
  /** As text, so that the sums are made with whole numbers. */
  readonly rate: string;
  readonly minorDigits: number;
}

export const rates: readonly Rate[] = [
  { currency: "EUR", rate: "1", minorDigits: 2 },
  { currency: "USD", rate: "1.1050", minorDigits: 2 },
  { currency: "JPY", rate: "156.33", minorDigits: 0 },
  { currency: "BGN", rate: "1.9558", minorDigits: 2 },
  { currency: "CZK", rate: "24.724", minorDigits: 2 },
  { currency: "DKK", rate: "7.4529", minorDigits: 2 },
  { currency: "GBP", rate: "0.86905", minorDigits: 2 },
  { currency: "HUF", rate: "382.80", minorDigits: 2 },
  { currency: "PLN", rate: "4.3395", minorDigits: 2 },
  { currency: "RON", rate: "4.9756", minorDigits: 2 },
  { currency: "SEK", rate: "11.0960", minorDigits: 2 },
  { currency: "CHF", rate: "0.9260", minorDigits: 2 },
  { currency: "ISK", rate: "150.50", minorDigits: 0 },
  { currency: "NOK", rate: "11.2405", minorDigits: 2 },
  { currency: "TRY", rate: "32.6531", minorDigits: 2 },
  { currency: "AUD", rate: "1.6263", minorDigits: 2 },
  { currency: "BRL", rate: "5.3618", minorDigits: 2 },
  { currency: "CAD", rate: "1.4642", minorDigits: 2 },
  { currency: "CNY", rate: "7.8509", minorDigits: 2 },
  { currency: "HKD", rate: "8.6314", minorDigits: 2 },
  { currency: "IDR", rate: "17079.71", minorDigits: 2 },
  { currency: "ILS", rate: "3.9993", minorDigits: 2 },
  { currency: "INR", rate: "91.9045", minorDigits: 2 },
  { currency: "KRW", rate: "1433.66", minorDigits: 0 },
  { currency: "MXN", rate: "18.7231", minorDigits: 2 },
  { currency: "MYR", rate: "5.0775", minorDigits: 2 },
  { currency: "NZD", rate: "1.7504", minorDigits: 2 },
  { currency: "PHP", rate: "61.283", minorDigits: 2 },
  { currency: "SGD", rate: "1.4591", minorDigits: 2 },
  { currency: "THB", rate: "37.973", minorDigits: 2 },
  { currency: "ZAR", rate: "20.3477", minorDigits: 2 },
];

const byCurrency = new Map(rates.map((rate) => [rate.currency, rate]));

export function findRate(currency: string): Rate | undefined {
  return byCurrency.get(currency);
}

const scaleDigits = 6;

function toScaled(rate: string): bigint {
  const [whole = "0", fraction = ""] = rate.split(".");
  return BigInt(whole + fraction.padEnd(scaleDigits, "0"));
}

/** Converts minor units exactly, rounding half to even once, at the end. The result may exceed what a `Money` holds. */
export function convert(amount: number, from: Rate, to: Rate): bigint {
  const numerator = BigInt(amount) * toScaled(to.rate) * 10n ** BigInt(to.minorDigits);
  const denominator = toScaled(from.rate) * 10n ** BigInt(from.minorDigits);
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}
