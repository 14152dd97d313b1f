import { NoAnswer, type Wire } from "../../examples/shop/traffic/wire.ts";

/**
 * Every request that was sent, one by one, and what came of it. A customer may send again what failed: here it has failed
 * all the same.
 */
export interface Census {
  readonly sent: number;
  /** A status of 500 and above, a connection that broke or was refused, an answer that took too long or was cut. */
  readonly failed: number;
  /** Refusals that the shop means: an empty cart, a declined card. */
  readonly refused: number;
  /** How many of each, most first: "GET /products 200". */
  outcomes(): readonly (readonly [outcome: string, count: number])[];
  /** When each failure came, and what it was. The first hundred. */
  readonly failures: readonly Failure[];
  /** Of the answers, from the slowest. */
  slowestMs(): number;
  around(wire: Wire): Wire;
}

export interface Failure {
  readonly at: number;
  readonly what: string;
}

const failuresMax = 100;

export function createCensus(): Census {
  const counts = new Map<string, number>();
  const failures: Failure[] = [];
  let sent = 0;
  let failed = 0;
  let refused = 0;
  let slowestMs = 0;
  const note = (route: string, outcome: string): void => {
    const key = `${toPattern(route)} ${outcome}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const fail = (route: string, what: string): void => {
    failed++;
    if (failures.length < failuresMax) failures.push({ at: performance.now(), what: `${toPattern(route)} ${what}` });
  };
  return {
    get sent() {
      return sent;
    },
    get failed() {
      return failed;
    },
    get refused() {
      return refused;
    },
    failures,
    outcomes: () => [...counts].sort(([, one], [, other]) => other - one),
    slowestMs: () => slowestMs,
    around: (wire) => ({
      async send(sending) {
        const startedAt = performance.now();
        sent++;
        try {
          const answer = await wire.send(sending);
          slowestMs = Math.max(slowestMs, performance.now() - startedAt);
          const reason = answer.status < 400 ? "" : ` ${answer.body?.reason}`;
          note(sending.route, `${answer.status}${reason}`);
          // Too many requests is a refusal that the shop does not mean at this rate.
          if (answer.status >= 500 || answer.status === 429) fail(sending.route, `${answer.status}${reason}`);
          else if (answer.status >= 400) refused++;
          return answer;
        } catch (thrown) {
          const how =
            thrown instanceof NoAnswer ? `${thrown.reason}${thrown.isStale ? " (kept connection)" : ""}` : thrown;
          note(sending.route, String(how));
          fail(sending.route, String(how));
          throw thrown;
        }
      },
      close: () => wire.close(),
    }),
  };
}

/** The route without what differs from request to request. */
function toPattern(route: string): string {
  const [verb, path = ""] = route.split(" ");
  const parts = (path.split("?")[0] ?? "").split("/");
  return `${verb} ${parts.map((part, i) => (i > 1 && /[-\d]/.test(part) && !part.includes("also") ? ":id" : part)).join("/")}`;
}
