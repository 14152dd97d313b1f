import { setTimeout as sleep } from "node:timers/promises";
import type { Look } from "../../examples/shop/books.ts";
import { checkBank, type Verdict } from "../../src/verify/index.ts";

/** Counts the stock again and again while things break: whatever moves, the sum stays. */
export interface Bank {
  /** Counts once more, and judges all counts. */
  end(): Promise<Verdict>;
}

const countEveryMs = 500;

export async function openBank(look: Look): Promise<Bank> {
  const reads: Record<string, bigint>[] = [];
  const count = async (): Promise<void> => {
    const [row] = await look(
      "inventory",
      `select sum(available)::text as available, sum(reserved)::text as reserved, sum(sold)::text as sold
       from inventory.stock`,
    );
    const { available, reserved, sold } = row ?? {};
    reads.push({ available: BigInt(available), reserved: BigInt(reserved), sold: BigInt(sold) });
  };
  const [stock] = await look("inventory", "select sum(received)::text as total from inventory.stock");
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; await sleep(countEveryMs)) await count().catch(() => {});
  })();
  return {
    async end() {
      isOver = true;
      await counting;
      await count();
      return checkBank({ total: BigInt(stock?.total), reads });
    },
  };
}

/** What customers owe for what was placed, against what their cards were charged, in each currency. */
export async function checkMoney(look: Look): Promise<readonly Verdict[]> {
  const placed = await look(
    "checkout",
    `select total_currency as currency, sum(total_amount)::text as amount from checkout.orders
     where status = 'placed' group by 1`,
  );
  const charged = await look(
    "payment",
    `select currency, sum(amount)::text as amount from payment.charges
     where amount is not null and refunded_at is null group by 1`,
  );
  const currencies = new Set([...placed, ...charged].map(({ currency }) => String(currency)));
  const sumIn = (rows: typeof placed, currency: string): bigint =>
    BigInt(rows.find((row) => row.currency === currency)?.amount ?? 0);
  return [...currencies].map((currency) =>
    checkBank({ total: sumIn(placed, currency), reads: [{ [currency]: sumIn(charged, currency) }] }),
  );
}
