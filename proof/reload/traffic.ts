import { setTimeout as sleep } from "node:timers/promises";

/** What clients saw. */
export interface Seen {
  requests: number;
  /** Status, or what broke; the first few of them. */
  readonly failures: string[];
  failed: number;
  /** Answers of each deployment since `mark`. */
  by: Map<string, number>;
}

export interface Traffic {
  readonly seen: Seen;
  /** Counts the deployments' answers anew. */
  mark(): void;
  stop(): Promise<void>;
}

const pauseMs = 5;

/** Clients that ask one after the other, with and without a body, until they are stopped. */
export function startTraffic(url: string, clients: number): Traffic {
  const seen: Seen = { requests: 0, failures: [], failed: 0, by: new Map() };
  let isOver = false;
  const fail = (what: string): void => {
    seen.failed++;
    if (seen.failures.length < 10) seen.failures.push(what);
  };
  const client = async (number: number): Promise<void> => {
    for (let i = number; !isOver; i++) {
      const init = i % 3 === 0 ? { method: "POST", body: "x".repeat((i % 50) * 1000) } : {};
      try {
        const answer = await fetch(`${url}/checkout/${number}`, init);
        const text = await answer.text();
        seen.requests++;
        if (answer.status !== 200) fail(`${answer.status} ${text.slice(0, 200)}`);
        else {
          const { name } = JSON.parse(text) as { name: string };
          seen.by.set(name, (seen.by.get(name) ?? 0) + 1);
        }
      } catch (thrown) {
        seen.requests++;
        fail(String((thrown as Error).cause ?? thrown));
      }
      await sleep(pauseMs);
    }
  };
  const running = Array.from({ length: clients }, (_, i) => client(i));
  return {
    seen,
    mark() {
      seen.by = new Map();
    },
    async stop() {
      isOver = true;
      await Promise.all(running);
    },
  };
}
