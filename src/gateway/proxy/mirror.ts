import type { Readable } from "node:stream";
import { finished } from "node:stream";
import type { Clock, Random } from "../../base/index.ts";
import type { Logger, Metrics } from "../../telemetry/index.ts";
import type { ForwardRequest, Upstream } from "../../upstream/index.ts";
import type { Exchange } from "../exchange.ts";
import { isStreamAnswer } from "./answer.ts";

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
 * of unknown length) are not copied. A copy is under way until its answer has ended, 10 s at most; of an answer 1 MiB is read,
 * of one that is a stream nothing. A copy says that it is one: `X-Plinth-Mirror: 1`.
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
/** Until the end of its answer. */
const answerMs = 10_000;
/** Of an answer that is read though nobody wants it. Above, its connection is closed. */
const answerBytesMax = 1024 * 1024;
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
      const { body, headers } = await upstream.forward(request);
      count("sent");
      if (body && isStreamAnswer(headers)) body.destroy();
      else if (body) await readAway(body, request.deadline, clock);
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

/** Reads to the end, so that the connection can be used again; not more than is worth it, and not for ever. */
function readAway(body: Readable, deadline: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const leave = (): void => void body.destroy();
    const cancel = clock.after(Math.max(0, deadline - clock.now()), leave);
    finished(body, () => {
      cancel();
      resolve();
    });
    body.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > answerBytesMax) leave();
    });
  });
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
