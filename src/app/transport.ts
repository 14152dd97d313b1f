import type { HstsOptions, TlsOptions } from "../gateway/index.ts";

/**
 * Who ends TLS: this process with certificates of its own, or a trusted proxy in front of it. In both cases what did not
 * come over TLS is refused, and browsers are told to remember that.
 */
export type TransportOptions = TlsHere | TlsAtProxy;

export interface TlsHere extends TlsOptions {
  readonly at?: "gateway";
  /** `false` for none. Default: one year, this host only. */
  readonly hsts?: HstsOptions | false;
}

export interface TlsAtProxy {
  /** One of `trustedProxies` ends TLS, and says for each request whether it came over it. */
  readonly at: "proxy";
  readonly hsts?: HstsOptions | false;
}
