import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { isIPv4, isIPv6 } from "node:net";
import type { TLSSocket } from "node:tls";

/**
 * Who the client of a request is: where it comes from, and how it asked for us before proxies of ours had it.
 *
 * Only the peer of the connection is known for certain. What a header says of a client is believed as far as it was
 * written by a proxy that the app declares as its own: from the right, each entry by the proxy that stands behind it, up to
 * the first that is not ours. What a client writes there itself stands further left, and is never reached.
 */
export interface ClientFacts {
  /** "192.0.2.7", "2001:db8::1". "" where the connection is gone. */
  readonly address: string;
  readonly protocol: "http" | "https";
  /** As the client asked for it; undefined where the outermost proxy does not say, and `Host` is meant. */
  readonly host: string | undefined;
  /** A declared proxy stands between. */
  readonly isProxied: boolean;
}

/** What declared proxies say of a client: see `client/trusted-proxies.ts`. */
export interface TrustedProxies {
  /** Undefined where the peer is no proxy of ours: whatever it says counts for nothing. */
  find(peer: string, headers: IncomingHttpHeaders): ProxiedClient | undefined;
}

export interface ProxiedClient {
  readonly address: string;
  readonly protocol: "http" | "https" | undefined;
  readonly host: string | undefined;
}

export type ClientOf = (req: IncomingMessage) => ClientFacts;

/** The way of finding it out: nothing is read from headers where no proxy is trusted. */
export function compileClientOf(trusted: TrustedProxies | undefined): ClientOf {
  if (!trusted) return directClient;
  /** What was found out stays with the request: several ask for it. */
  const known = Symbol("plinth.client");
  const find = (req: IncomingMessage): ClientFacts => {
    const peer = plainAddress(req.socket?.remoteAddress ?? "");
    const found = trusted.find(peer, req.headers);
    if (!found) return directClient(req);
    return {
      address: found.address,
      protocol: found.protocol ?? protocolOf(req),
      host: found.host,
      isProxied: true,
    };
  };
  return (req: IncomingMessage & { [known]?: ClientFacts }) => {
    req[known] ??= find(req);
    return req[known];
  };
}

function directClient(req: IncomingMessage): ClientFacts {
  const address = plainAddress(req.socket?.remoteAddress ?? "");
  return { address, protocol: protocolOf(req), host: undefined, isProxied: false };
}

function protocolOf({ socket }: IncomingMessage): "http" | "https" {
  return (socket as TLSSocket | null)?.encrypted === true ? "https" : "http";
}

/** An address without its zone, and an IPv4 one that came in IPv6's clothes as what it is. */
export function plainAddress(address: string): string {
  if (!address.includes(":")) return address;
  const plain = address.includes("%") ? address.slice(0, address.indexOf("%")) : address;
  if (!plain.toLowerCase().startsWith("::ffff:")) return plain;
  const inner = plain.slice(7);
  if (isIPv4(inner)) return inner;
  const groups = groupsOf(plain);
  if (!groups) return plain;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/**
 * What a limit counts by: an IPv4 address, or the first 64 bits of an IPv6 one, which is what one customer gets at least.
 * "unknown" for what is none.
 */
export function addressGroup(address: string): string {
  if (isIPv4(address)) return address;
  const groups = groupsOf(address);
  if (!groups) return "unknown";
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] | undefined {
  if (!isIPv6(address)) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, before = "", a = 0, b = 0, c = 0, d = 0] = dotted ?? [];
  const text = dotted
    ? `${before}${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`
    : address;
  const [head = "", tail] = text.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
}
