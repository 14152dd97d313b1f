import { baseCurrency, sum } from "../money.ts";
import type { Quote } from "./contract.ts";

/** How a price is reckoned. Whole cents in, whole cents out, and the same for the same, always. */
export interface PriceRow {
  readonly product_id: string;
  readonly base_cents: number;
  readonly discount_percent: number;
  readonly tax_percent: number;
}

export interface Wanted {
  readonly productId: string;
  readonly quantity: number;
}

/** Who takes more of one thing pays less for each. The first that fits counts. */
const quantityBreaks: readonly { readonly from: number; readonly percent: number }[] = [
  { from: 20, percent: 10 },
  { from: 5, percent: 5 },
];

/** What one of `quantity` pieces costs: the discount first, then the break, each rounded to a cent, never below one. */
export function unitCents(row: PriceRow, quantity: number): number {
  const discounted = portion(row.base_cents, 100 - row.discount_percent, 100);
  const off = quantityBreaks.find(({ from }) => quantity >= from)?.percent ?? 0;
  return Math.max(1, portion(discounted, 100 - off, 100));
}

/** The tax in an amount that includes it. */
export function taxIn(cents: number, taxPercent: number): number {
  return portion(cents, taxPercent, 100 + taxPercent);
}

/** The lines that have a price, and their sum. Tax is reckoned line by line, as it stands on an invoice. */
export function quoteOf(items: readonly Wanted[], rows: readonly PriceRow[]): Omit<Quote, "converted"> {
  const euro = (amount: number) => ({ amount, currency: baseCurrency });
  const byId = new Map(rows.map((row) => [row.product_id, row]));
  let tax = 0;
  const lines = items.flatMap(({ productId, quantity }) => {
    const row = byId.get(productId);
    if (!row) return [];
    const unit = unitCents(row, quantity);
    tax += taxIn(unit * quantity, row.tax_percent);
    return [{ productId, quantity, unitPrice: euro(unit), price: euro(unit * quantity) }];
  });
  const prices = lines.map((line) => line.price);
  return { lines, total: sum(prices, baseCurrency), tax: euro(tax) };
}

/** `cents × part / whole` in whole cents, half away from zero. Exact: the product stays far below 2⁵³. */
function portion(cents: number, part: number, whole: number): number {
  return Math.floor((2 * cents * part + whole) / (2 * whole));
}
