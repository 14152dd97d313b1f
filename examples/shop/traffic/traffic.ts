import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type CheckoutOutcome, checkOut } from "./checkouts.ts";
import { type Customer, check, Failure, signUp, take, WrongAnswer } from "./customer.ts";
import { createDice, type Dice } from "./dice.ts";
import * as operations from "./operations.ts";
import { createTally, type OperationReport, sumOf } from "./tally.ts";
import { createWire, type Wire } from "./wire.ts";

/**
 * Customers in the shop. An open model: operations begin at a constant rate, whatever became of those before, and each is
 * timed from the moment at which it was meant to begin, so that a shop that stands still is seen to stand still.
 *
 * A customer does one thing at a time. When all are busy, operations wait in line for the next that is free, and the wait
 * counts; when the line is full, an operation fails unsent ("not sent: line full"). So nothing here grows without end.
 *
 * Each answer is checked. A checkout carries an Idempotency-Key and is sent again under it until its outcome is known; what
 * it was is kept in `checkouts`, for comparison with the books.
 */
export interface TrafficOptions {
  readonly url: string;
  /** Operations in a second. Default 200. */
  readonly rate?: number;
  /** Default 30. */
  readonly seconds?: number;
  /** Customers, and so the operations that run at one time. Default 50. */
  readonly users?: number;
  /** The same seed does the same things in the same order. Default 1. */
  readonly seed?: number;
  /** Percent, or any other shares. */
  readonly mix?: Readonly<Record<operations.OperationName, number>>;
  /** Of the checkouts, with a card that the bank declines. Default 0.02. */
  readonly declinedShare?: number;
  /** Operations that wait for a free customer. Default 20 for each customer. */
  readonly lineMax?: number;
  /** Default 10,000. */
  readonly timeoutMs?: number;
  /** How long a checkout is sent again while its outcome is not known. Default 30,000. */
  readonly patienceMs?: number;
  readonly onCheckout?: (outcome: CheckoutOutcome) => void;
  /** Stands around the wire, to look at each request by itself. */
  readonly around?: (wire: Wire) => Wire;
}

export interface TrafficReport {
  readonly seconds: number;
  readonly rateAsked: number;
  /** Operations that ended, in a second. */
  readonly rateAchieved: number;
  readonly operations: Readonly<Record<operations.OperationName | "all", OperationReport>>;
  readonly checkouts: Readonly<Record<CheckoutOutcome["result"], number>>;
  /** No answer was wrong, and at most 1 % failed. */
  readonly good: boolean;
}

export interface Traffic {
  /** Every checkout that has ended so far. */
  readonly checkouts: readonly CheckoutOutcome[];
  /** Signs the customers up, sends the traffic, waits for what is under way. Once. */
  run(): Promise<TrafficReport>;
  /** Begins nothing more; `run` resolves when what is under way has ended. */
  stop(): void;
}

const failedShareMax = 0.01;

export function createTraffic(options: TrafficOptions): Traffic {
  const { url, rate = 200, seconds = 30, users = 50, seed = 1, lineMax = 20 * users } = options;
  const { mix = operations.usualMix, timeoutMs = 10_000, around = (wire: Wire) => wire } = options;
  const dice = createDice(seed);
  const tally = createTally();
  const checkouts: CheckoutOutcome[] = [];
  const underWay = new Set<Promise<void>>();
  const idle: Customer[] = [];
  const line: { readonly name: operations.OperationName; readonly startAt: number }[] = [];
  let isStopped = false;

  const perform = async (customer: Customer, name: operations.OperationName, startAt: number): Promise<void> => {
    const end = (kind: "ok" | "refused" | "failed" | "wrong", reason?: string) =>
      tally.count(name, kind, reason, performance.now() - startAt);
    try {
      if (name !== "checkout") {
        await simple[name](customer);
        end("ok");
        return;
      }
      const outcome = await buy(customer, options);
      checkouts.push(outcome);
      options.onCheckout?.(outcome);
      if (outcome.result === "ok") end("ok");
      else end(outcome.result === "fail" ? "refused" : "failed", outcome.reason);
    } catch (thrown) {
      if (thrown instanceof Failure) end("failed", thrown.message);
      else if (thrown instanceof WrongAnswer) end("wrong", thrown.message);
      else end("wrong", String(thrown));
    }
  };

  /** Whoever is free takes the operation, and then what waits in line. */
  const occupy = async (customer: Customer, name: operations.OperationName, startAt: number): Promise<void> => {
    await perform(customer, name, startAt);
    for (let next = line.shift(); next; next = line.shift()) await perform(customer, next.name, next.startAt);
    idle.push(customer);
  };

  const begin = (startAt: number): void => {
    const name = drawOperation(dice, mix);
    // Any of those that are free, not always the same few.
    const [customer] = idle.splice(dice.below(Math.max(1, idle.length)), 1);
    if (customer) {
      const work = occupy(customer, name, startAt).finally(() => underWay.delete(work));
      underWay.add(work);
    } else if (line.length < lineMax) line.push({ name, startAt });
    else tally.count(name, "failed", "not sent: line full", performance.now() - startAt);
  };

  return {
    checkouts,
    stop() {
      isStopped = true;
    },
    async run() {
      const wire = around(createWire(url, { socketsMax: 3 * users, timeoutMs }));
      try {
        idle.push(...(await invite(wire, { users, seed, dice })));
        const beganAt = performance.now();
        let begun = 0;
        while (!isStopped && begun < rate * seconds) {
          const dueCount = Math.min(rate * seconds, Math.floor(((performance.now() - beganAt) * rate) / 1000) + 1);
          while (begun < dueCount) begin(beganAt + (begun++ * 1000) / rate);
          await sleep(Math.max(1, beganAt + (begun * 1000) / rate - performance.now()));
        }
        while (underWay.size > 0) await Promise.all(underWay);
        return reportOf((performance.now() - beganAt) / 1000);
      } finally {
        wire.close();
      }
    },
  };

  function reportOf(tookSeconds: number): TrafficReport {
    const counts = tally.report();
    const { sent, failed, wrong } = counts.all;
    const count = (result: CheckoutOutcome["result"]) => checkouts.filter((each) => each.result === result).length;
    return {
      seconds: tookSeconds,
      rateAsked: rate,
      rateAchieved: sent / tookSeconds,
      operations: counts,
      checkouts: { ok: count("ok"), fail: count("fail"), unknown: count("unknown") },
      good: sent > 0 && sumOf(wrong) === 0 && sumOf(failed) <= failedShareMax * sent,
    };
  }
}

const simple = {
  browse: operations.browse,
  view: operations.view,
  add: operations.add,
  cart: operations.viewCart,
  currency: operations.changeCurrency,
} satisfies Record<Exclude<operations.OperationName, "checkout">, (customer: Customer) => Promise<void>>;

/** Puts one thing more into the cart, so that there is something, and buys it all. */
async function buy(customer: Customer, { declinedShare = 0.02, patienceMs = 30_000 }: TrafficOptions) {
  await operations.add(customer);
  const { dice } = customer;
  return checkOut(customer, {
    key: randomUUID(),
    isDeclined: dice.next() < declinedShare,
    currency: dice.pick(operations.currencies),
    country: dice.pick(operations.countries),
    patienceMs,
  });
}

function drawOperation(dice: Dice, mix: Readonly<Record<operations.OperationName, number>>): operations.OperationName {
  let left = dice.next() * sumOf(mix);
  for (const name of operations.operationNames) {
    left -= mix[name];
    if (left < 0) return name;
  }
  return "browse";
}

/** Customers with a session each, a few at a time: a password is costly. The addresses are the same for the same seed. */
async function invite(wire: Wire, { users, seed, dice }: { users: number; seed: number; dice: Dice }) {
  const ids = await listIds(wire);
  const customers: Customer[] = [];
  const addresses = Array.from({ length: users }, (_, i) => `traffic-${seed}-${i}@example.com`);
  const work = async () => {
    for (let email = addresses.shift(); email !== undefined; email = addresses.shift()) {
      const token = await signUp(wire, email);
      let at = dice.below(ids.length);
      // A step that shares no factor with a length below 101 comes past every product before any comes again.
      const nextProduct = () => {
        at = (at + 101) % ids.length;
        return ids[at] as string;
      };
      customers.push({ token, wire, dice, nextProduct, nextPage: undefined, lastPrice: 1000 });
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  return customers;
}

async function listIds(wire: Wire): Promise<string[]> {
  const { products } = await take(wire, { route: "GET /products?limit=100" });
  check(Array.isArray(products) && products.length > 0, "the shop has no products");
  return products.map((product: { id: string }) => product.id);
}
