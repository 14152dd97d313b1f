import { audit } from "../../examples/shop/books.ts";
import type { CheckoutOutcome } from "../../examples/shop/traffic/checkouts.ts";
import { checkLedger, combineVerdicts, type Operation, type Verdict } from "../../src/verify/index.ts";
import type { Claim } from "../proof.ts";
import { type Bank, checkMoney } from "./bank.ts";
import { readEffects } from "./effects.ts";
import { checkArrivals, checkJournal, checkShopOrder } from "./order.ts";
import { comeToRest } from "./rest.ts";
import type { Stage } from "./stage.ts";

/** From the last answer on: then nothing may be under way any more. */
export const restMs = 30_000;

/** Waits for rest, and judges what the shop did by what customers were told. */
export async function judgeShop(
  { look, mailFolder }: Stage,
  bank: Bank,
  operations: readonly Operation[],
  say: (text: string) => void,
): Promise<{ readonly claims: readonly Claim[]; readonly facts: Readonly<Record<string, number>> }> {
  const rest = await comeToRest(look, restMs);
  const orders = ledgerOf(operations);
  const effects = await readEffects(look, mailFolder);
  const ledger = checkLedger({ orders, effects, underWay: rest.left, stuckMsMax: restMs });
  const violations = await audit(look, outcomesOf(operations));
  const stock = await bank.end();
  const money = await checkMoney(look);
  const [journal, arrivals, shop] = [await checkJournal(look), await checkArrivals(look), await checkShopOrder(look)];
  for (const { rule, what } of violations.slice(0, 10)) say(`${rule}: ${what}`);
  for (const verdict of [ledger, stock, ...money, arrivals, journal, ...shop]) sayFindings(verdict, say);
  const { ok = 0, unknown = 0 } = ledger.counts;
  const count = (name: keyof typeof effects) => effects[name].length;
  const counts = `${count("placed")} placed, ${count("charged")} charged, ${count("reserved")} reserved, ${count("mailed")} mailed`;
  const sumOf = (verdicts: readonly Verdict[], name: string) =>
    verdicts.reduce((sum, { counts: { [name]: value = 0 } }) => sum + value, 0);
  return {
    claims: [
      claimOf("every acknowledged order is placed, charged, reserved, sent and mailed once", [ledger], {
        good: `${ok} acknowledged, ${unknown} never known: ${counts}`,
      }),
      {
        claim: "the books of all services agree with each other and with what customers were told",
        seen: `${violations.length} rules broken`,
        holds: violations.length === 0,
      },
      claimOf("the stock adds up at every moment, and what was placed is what was charged", [stock, ...money], {
        good: `${stock.counts.reads} counts of the stock, ${money.length} currencies`,
      }),
      claimOf("every event that was published came to the broker, once and in the order of its key", [arrivals], {
        good: `${arrivals.counts.effects} events of ${arrivals.counts.keys} keys`,
      }),
      claimOf("events of a key take effect in their order, each once: the shop's", shop, {
        good: `${sumOf(shop, "effects")} effects of ${sumOf(shop, "keys")} keys in ${shop.length} subscriptions`,
      }),
      claimOf("events of a key take effect in their order, each once: a journal's", [journal], {
        good: `${journal.counts.effects} lines on ${journal.counts.keys} pages`,
      }),
      {
        claim: "30 s after the last answer nothing is stuck, and there is no dead letter",
        seen: `at rest after ${(rest.tookMs / 1000).toFixed(1)} s, ${rest.left.length} under way, ${rest.deadLetters} dead letters`,
        holds: rest.left.length === 0 && rest.deadLetters === 0,
      },
    ],
    facts: { acknowledged: ok, "outcome never known": unknown, refused: ledger.counts.fail ?? 0 },
  };
}

export function claimOf(claim: string, verdicts: readonly Verdict[], { good }: { readonly good: string }): Claim {
  const valid = combineVerdicts(verdicts);
  if (valid === true) return { claim, seen: good, holds: true };
  const findings = verdicts.reduce((sum, { findingCount }) => sum + findingCount, 0);
  const doubts = [...new Set(verdicts.flatMap((verdict) => verdict.doubts))];
  return { claim, seen: valid === false ? `${findings} findings` : `inconclusive: ${doubts.join("; ")}`, holds: false };
}

export function sayFindings({ checker, findings, doubts }: Verdict, say: (text: string) => void): void {
  for (const { kind, subject, message } of findings.slice(0, 10)) say(`${checker}: ${kind} ${subject}: ${message}`);
  for (const doubt of doubts) say(`${checker}: in doubt: ${doubt}`);
}

function ledgerOf(operations: readonly Operation[]) {
  return operations
    .filter(({ action }) => action === "checkout")
    .map(({ key = "", outcome }) => ({ id: key, outcome }));
}

function outcomesOf(operations: readonly Operation[]): CheckoutOutcome[] {
  return operations
    .filter(({ action }) => action === "checkout")
    .map(({ key = "", outcome, result, reason }) => ({
      key,
      result: outcome,
      orderId: typeof result === "string" ? result : undefined,
      reason,
      attempts: 1,
    }));
}
