import { baseCurrency, type Money } from "../money.ts";

/** What the carrier takes, in euro cents, and how long it needs. The shop is in Germany. */
interface Zone {
  readonly parcelCents: number;
  /** For each kilogram that is begun. */
  readonly kiloCents: number;
  readonly days: number;
}

const domestic: Zone = { parcelCents: 390, kiloCents: 50, days: 2 };
const europe: Zone = { parcelCents: 790, kiloCents: 100, days: 4 };
const world: Zone = { parcelCents: 1490, kiloCents: 600, days: 9 };

const europeans = new Set(
  "AT BE BG CH CY CZ DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split(" "),
);

/** Goods worth this much are sent free. */
export const freeFromCents = 5000;

/** In whole kilograms that are begun; nothing weighs nothing. */
export function sendingCost(country: string, grams: number, valueCents = 0): { price: Money; days: number } {
  const { parcelCents, kiloCents, days } = zoneOf(country);
  const kilos = Math.max(1, Math.ceil(grams / 1000));
  const amount = valueCents >= freeFromCents ? 0 : parcelCents + kilos * kiloCents;
  return { price: { amount, currency: baseCurrency }, days };
}

function zoneOf(country: string): Zone {
  if (country === "DE") return domestic;
  return europeans.has(country) ? europe : world;
}
