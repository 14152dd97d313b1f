import type { Duration } from "../base/index.ts";
import { parseDuration } from "../base/index.ts";
import { wrongGateway } from "./errors.ts";

/** What browsers remember about this host (RFC 6797): from then on they speak TLS to it, whatever a link says. */
export interface HstsOptions {
  /** Default one year, "365d". At least 1 s; "0s" is not taken: a browser would forget what protects its user. */
  readonly maxAge?: Duration;
  /** Also for all hosts below this one. Default false. */
  readonly includeSubDomains?: boolean;
  /** May be built into browsers; needs `includeSubDomains` and a year. Default false. */
  readonly preload?: boolean;
}

const yearMs = 365 * 86_400_000;

/** The header's value, undefined for none. Throws StartError HSTS_INVALID. */
export function hstsValue(options: HstsOptions | false | undefined): string | undefined {
  if (options === false) return undefined;
  const { maxAge = "365d", includeSubDomains = false, preload = false } = options ?? {};
  const maxAgeMs = parseDuration(maxAge);
  if (maxAgeMs === undefined || maxAgeMs < 1000) {
    throw wrongGateway("HSTS_INVALID", 'gateway: tls.hsts.maxAge: write a duration from 1 s, such as "365d".');
  }
  if (preload && !(includeSubDomains && maxAgeMs >= yearMs)) {
    throw wrongGateway("HSTS_INVALID", "gateway: tls.hsts.preload: it needs includeSubDomains and a maxAge of a year.");
  }
  const parts = [`max-age=${Math.floor(maxAgeMs / 1000)}`];
  if (includeSubDomains) parts.push("includeSubDomains");
  if (preload) parts.push("preload");
  return parts.join("; ");
}
