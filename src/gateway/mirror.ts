import type { Clock, Random } from "../base/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";
import type { ForwardRequest, Upstream } from "../upstream/index.ts";
import type { Exchange } from "./exchange.ts";

/** A copy of some requests goes to another upstream as well; what it answers is thrown away. */
export interface Mirroring {
  /** The name of one of `upstreams`. */
  readonly to: string;
  /** Of the requests, 0 to 100. */
  readonly percent: number;
}

/**
 * Copies requests without the caller noticing: nothing waits for a copy, no failure of one is told, and there are at most
 * 64 under way for a route; what would be more is left out and counted. Requests whose body is streamed (above 64 KiB, or
 * of unknown length) are not copied. A copy says that it is one: `X-Plinth-Mirror: 1`.
 */
export interface Mirror {
  readonly mirroring: Mirroring;
  copy(exchange: Exchange, request: ForwardRequest): void;
  /** From the next request on. It has been checked. */
  replace(mirroring: Mirroring | undefined): void;
}

export interface MirrorParts {
  readonly route: string;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics | undefined;
}

const underWayMax = 64;
const answerMs = 10_000;
const never: Mirroring = { to: "", percent: 0 };

export function createMirror(initial: Mirroring | undefined, parts: MirrorParts): Mirror {
  const { clock, random, upstreams } = parts;
  const counted = parts.metrics?.counter(
    "plinth_gateway_mirrored_requests_total",
    "Copies of requests, by what became of them.",
    ["route", "outcome"],
  );
  const count = (outcome: "sent" | "failed" | "left_out"): void => counted?.with({ route: parts.route, outcome }).add();
  let mirroring = initial ?? never;
  let underWay = 0;

  const send = async (upstream: Upstream, request: ForwardRequest): Promise<void> => {
    underWay++;
    try {
      const { body } = await upstream.forward(request);
      count("sent");
      // Read to its end, so that the connection can be used again.
      body?.on("error", () => {});
      body?.resume();
    } catch (thrown) {
      count("failed");
      parts.log.debug({ err: thrown, route: parts.route }, "a copy of a request failed");
    } finally {
      underWay--;
    }
  };
  return {
    get mirroring() {
      return mirroring;
    },
    replace(next) {
      mirroring = next ?? never;
    },
    copy(_exchange, request) {
      if (mirroring.percent === 0 || random.next() * 100 >= mirroring.percent) return;
      const upstream = upstreams.get(mirroring.to);
      if (!upstream || underWay >= underWayMax) {
        count("left_out");
        return;
      }
      void send(upstream, {
        ...request,
        headers: [...request.headers, "x-plinth-mirror", "1"],
        deadline: clock.now() + answerMs,
        // The copy lives on when the caller leaves.
        onCancel: () => () => {},
      });
    },
  };
}

/** Adds what is wrong to `problems`, with its place. */
export function checkMirroring(
  where: string,
  { to, percent }: Mirroring,
  names: readonly string[],
  problems: string[],
): void {
  if (!names.includes(to))
    problems.push(`${where}.to: there is no upstream ${JSON.stringify(to)}; there are ${names.join(", ")}.`);
  if (typeof percent !== "number" || !(percent >= 0 && percent <= 100)) {
    problems.push(`${where}.percent: ${JSON.stringify(percent)} is no part of a hundred.`);
  }
}
