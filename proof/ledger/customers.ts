import { setTimeout as sleep } from "node:timers/promises";
import type { CheckoutOutcome } from "../../examples/shop/traffic/checkouts.ts";
import { isTrouble } from "../../examples/shop/traffic/customer.ts";
import { createTraffic, type TrafficReport } from "../../examples/shop/traffic/traffic.ts";
import { createWire, NoAnswer, type Wire } from "../../examples/shop/traffic/wire.ts";
import type { Begun, History } from "../../src/verify/index.ts";

/**
 * Customers in the shop, careful ones: a checkout whose outcome is not known is sent again under its key. What they do is
 * in the history: each single request as `request`, and each checkout, from its first sending to what became of it, as
 * `checkout`. Beside them somebody writes the journal.
 */
export interface Customers {
  /** Checkouts that have ended. */
  readonly count: number;
  /** Resolves when all that was begun has ended, and no new one begins. */
  readonly done: Promise<TrafficReport>;
  stop(): void;
}

export interface CustomersOptions {
  readonly url: string;
  readonly history: History;
  /** Asked after each checkout, with how many have ended: true begins nothing more. Default: only `stop` ends it. */
  readonly isEnough?: (count: number) => boolean;
  /** Operations in a second; the half of them are checkouts. */
  readonly rate: number;
  readonly users: number;
}

const mix = { browse: 10, view: 15, add: 5, cart: 10, checkout: 50, currency: 10 };
const pages = 12;
const linesEveryMs = 80;
/** An order that was left halfway is cleaned up after 30 to 40 s, and its key is answered "in progress" until then. */
const patienceMs = 100_000;
const timeoutMs = 10_000;

export function startCustomers({ url, history, rate, users, isEnough = () => false }: CustomersOptions): Customers {
  const open = new Map<string, Begun>();
  const around = (wire: Wire): Wire => ({
    async send(sending) {
      const { route, idempotencyKey: key } = sending;
      if (key !== undefined && !open.has(key)) {
        open.set(key, history.begin({ process: "customer", action: "checkout", key }));
      }
      return noteRequest(history, route, () => wire.send(sending));
    },
    close: () => wire.close(),
  });
  const onCheckout = ({ key, result, orderId, reason = "" }: CheckoutOutcome): void => {
    const begun = open.get(key);
    if (result === "ok") begun?.ok(orderId ?? "");
    else if (result === "fail") begun?.fail(reason);
    else begun?.unknown(reason);
    if (isEnough(traffic.checkouts.length)) traffic.stop();
  };
  const day = 86_400;
  const options = { url, rate, users, mix, around, onCheckout, patienceMs, timeoutMs, seconds: day, seed: 7 };
  const traffic = createTraffic(options);
  const writer = new AbortController();
  const writing = writeJournal(url, history, writer.signal);
  const done = traffic.run().finally(async () => {
    writer.abort();
    await writing;
  });
  // Told by who waits for it; until then it must not end the proof in the middle of nowhere.
  done.catch(() => {});
  return {
    get count() {
      return traffic.checkouts.length;
    },
    done,
    stop: () => traffic.stop(),
  };
}

/** An answer that the shop means is ok, whatever it says; "not now" has failed; of no answer nothing is known. */
async function noteRequest<A extends { readonly status: number; readonly body: any }>(
  history: History,
  route: string,
  send: () => Promise<A>,
): Promise<A> {
  const begun = history.begin({ process: "customer", action: "request", key: route.split("?")[0] ?? route });
  try {
    const answer = await send();
    if (isTrouble(answer.status)) begun.fail(`${answer.status} ${answer.body?.reason}`);
    else begun.ok(answer.status);
    return answer;
  } catch (thrown) {
    begun.unknown(thrown instanceof NoAnswer ? thrown.reason : String(thrown));
    throw thrown;
  }
}

/** A line now on this page, now on that, one at a time. */
async function writeJournal(url: string, history: History, signal: AbortSignal): Promise<void> {
  const wire = createWire(url, { socketsMax: 1, timeoutMs });
  try {
    for (let i = 0; !signal.aborted; i++) {
      const page = `page-${i % pages}`;
      const begun = history.begin({ process: "writer", action: "line", key: page });
      const answer = await wire.send({ route: `POST /journal/${page}` }).catch(() => undefined);
      if (answer?.status === 200) begun.ok(answer.body.line);
      else begun.unknown(answer ? String(answer.body?.reason) : "no answer");
      await sleep(linesEveryMs);
    }
  } finally {
    wire.close();
  }
}
