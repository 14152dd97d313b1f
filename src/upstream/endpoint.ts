import type { MemberOptions } from "../balancing/index.ts";
import type { HttpPool } from "../http/index.ts";
import { createHttpPool } from "../http/index.ts";
import type { ParsedTarget } from "./target.ts";
import type { UpstreamSettings } from "./upstream-settings.ts";

/** One place that requests go to: an address of a target, with connections of its own. */
export class Endpoint {
  readonly target: ParsedTarget;
  /** The IP address that is connected to; undefined where the target's host says it. */
  readonly address: string | undefined;
  readonly pool: HttpPool;

  constructor(target: ParsedTarget, address: string | undefined, settings: UpstreamSettings) {
    this.target = target;
    this.address = address;
    const { limits, tls, egress } = settings;
    this.pool = createHttpPool(target.origin, {
      limits: {
        // One more for its health check; the balancer sees to the rest.
        connections: limits.requestsPerTarget + 1,
        connectMs: limits.connectMs,
        headerBytes: limits.answerHeaderBytes,
      },
      tls,
      egress,
      address,
    });
  }

  get shownAddress(): string {
    return this.address ?? this.target.host;
  }
}

export type EndpointMember = MemberOptions<Endpoint>;

export function endpointName({ origin }: ParsedTarget, address: string | undefined): string {
  return address === undefined ? origin : `${origin} at ${address}`;
}
