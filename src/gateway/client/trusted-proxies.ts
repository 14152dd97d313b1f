import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { StartError } from "../../base/index.ts";
import type { TrustedProxies } from "./address.ts";
import { plainAddress } from "./address.ts";
import { parseForwarded } from "./address-forwarded.ts";

/**
 * Which proxies stand before the gateway. Without it none does, and no header tells where a request comes from.
 *
 * - A list of addresses and networks: `["10.0.0.0/8", "fd00::/8"]`. The safest.
 * - A number: so many proxies, each of which adds one entry. For those whose addresses are not known; only safe where
 *   nobody can reach the gateway past them.
 * - `{ proxies, header }`: the same, and which header they write. They must all write the one that is named, since the
 *   other one is the client's to make up. Default `"x-forwarded-for"`, with `X-Forwarded-Proto`; `"forwarded"` is RFC 7239.
 * - `{ proxies, host: true }`: they write `X-Forwarded-Host` too, which then counts in place of `Host`. Default `false`:
 *   many proxies pass on what a client wrote there. (`host` in `Forwarded` is always theirs.)
 */
export type TrustedProxiesOptions =
  | readonly string[]
  | number
  | {
      readonly proxies: readonly string[] | number;
      readonly header?: "x-forwarded-for" | "forwarded";
      readonly host?: boolean;
    };

/** One entry of the chain, as a proxy wrote it. */
export interface Hop {
  /** Undefined where it says no address: "unknown", a made-up name. */
  readonly address: string | undefined;
  readonly protocol: "http" | "https" | undefined;
  readonly host: string | undefined;
}

/** So many entries are looked at; a chain of more is none of ours. */
const hopsMax = 32;
const proxiesMax = 1000;

/** Throws StartError TRUSTED_PROXIES_INVALID. */
export function compileTrustedProxies(options: TrustedProxiesOptions | undefined): TrustedProxies | undefined {
  if (options === undefined) return undefined;
  const {
    proxies,
    header = "x-forwarded-for",
    host = false,
  } = typeof options === "object" && "proxies" in options ? options : { proxies: options };
  if (header !== "x-forwarded-for" && header !== "forwarded")
    throw wrong(`the header is "x-forwarded-for" or "forwarded", not ${JSON.stringify(header)}.`);
  if (typeof host !== "boolean")
    throw wrong(`host is true where the proxies write X-Forwarded-Host, or false; not ${JSON.stringify(host)}.`);
  if (host && header === "forwarded") throw wrong("host is part of Forwarded already; leave it out.");
  const hopsOf: HopsOf = header === "forwarded" ? forwardedHops : (headers) => forwardedForHops(headers, host);
  if (typeof proxies === "number") {
    if (!Number.isInteger(proxies) || proxies < 0 || proxies > hopsMax)
      throw wrong(`${proxies} proxies cannot be; write 1 to ${hopsMax}, or the proxies' addresses.`);
    return proxies === 0 ? undefined : byCount(proxies, hopsOf);
  }
  const list = compileList(proxies);
  return proxies.length === 0 ? undefined : byAddress(list, hopsOf);
}

type HopsOf = (headers: IncomingHttpHeaders) => readonly Hop[];

/** From the right, as long as the one that wrote the entry is ours. */
function byAddress(isOurs: (address: string) => boolean, hopsOf: HopsOf): TrustedProxies {
  return {
    find(peer, headers) {
      if (!isOurs(peer)) return undefined;
      const hops = hopsOf(headers);
      let address = peer;
      let first: Hop | undefined;
      for (let i = hops.length - 1; i >= 0 && i >= hops.length - hopsMax; i--) {
        const hop = hops[i] as Hop;
        first = hop;
        // One of ours that does not know from where: all that is known is the proxy itself.
        if (hop.address === undefined) break;
        address = hop.address;
        if (!isOurs(address)) break;
      }
      return { address, protocol: first?.protocol, host: first?.host };
    },
  };
}

/** The entry that the outermost of so many proxies wrote. Fewer entries: some of them were passed by. */
function byCount(count: number, hopsOf: HopsOf): TrustedProxies {
  return {
    find(peer, headers) {
      const hops = hopsOf(headers);
      const hop = hops[hops.length - count];
      if (!hop) return undefined;
      return { address: hop.address ?? peer, protocol: hop.protocol, host: hop.host };
    },
  };
}

/**
 * `X-Forwarded-For` has an entry for each hop. `-Proto` and `-Host` may have one for each as well, or one that the
 * outermost proxy wrote and the others left alone.
 */
function forwardedForHops(headers: IncomingHttpHeaders, hasHost: boolean): readonly Hop[] {
  const addresses = listOf(headers["x-forwarded-for"]);
  const protocols = listOf(headers["x-forwarded-proto"]);
  const hosts = hasHost ? listOf(headers["x-forwarded-host"]) : [];
  const at = (list: readonly string[], i: number): string | undefined =>
    list.length === addresses.length ? list[i] : list.at(-1);
  return addresses.map((text, i) => ({
    address: addressIn(text),
    protocol: protocolIn(at(protocols, i)),
    host: hostIn(at(hosts, i)),
  }));
}

function forwardedHops(headers: IncomingHttpHeaders): readonly Hop[] {
  const parsed = parseForwarded(headers.forwarded ?? "", hopsMax);
  return parsed.map((each) => ({
    address: addressIn(each.get("for") ?? ""),
    protocol: protocolIn(each.get("proto")),
    host: hostIn(each.get("host")),
  }));
}

function listOf(value: string | string[] | undefined): readonly string[] {
  const text = Array.isArray(value) ? value.join(",") : (value ?? "");
  return text === ""
    ? []
    : lastOf(text)
        .split(",")
        .map((each) => each.trim());
}

/** The last entries of a list, cut off before anything of it is read: how long it is, is the client's to say. */
function lastOf(text: string): string {
  let at = text.length;
  for (let i = 0; i < hopsMax; i++) {
    at = at <= 0 ? -1 : text.lastIndexOf(",", at - 1);
    if (at === -1) return text;
  }
  return text.slice(at + 1);
}

/** "192.0.2.7", "192.0.2.7:4711", "2001:db8::1", "[2001:db8::1]:4711"; undefined for all else. */
function addressIn(text: string): string | undefined {
  const inner = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
  if (inner !== undefined) return isIPv6(inner) ? plainAddress(inner) : undefined;
  if (isIP(text) !== 0) return plainAddress(text);
  const bare = /^([\d.]+):\d{1,5}$/.exec(text)?.[1];
  return bare !== undefined && isIP(bare) === 4 ? bare : undefined;
}

function protocolIn(text: string | undefined): "http" | "https" | undefined {
  const word = text?.toLowerCase();
  if (word === "https" || word === "wss") return "https";
  return word === "http" || word === "ws" ? "http" : undefined;
}

/** A host as `Host` may have it. */
function hostIn(text: string | undefined): string | undefined {
  return text !== undefined && /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/.test(text)
    ? text.toLowerCase()
    : undefined;
}

/** Addresses and networks. Throws StartError TRUSTED_PROXIES_INVALID that names the wrong one. */
function compileList(proxies: readonly string[]): (address: string) => boolean {
  if (!Array.isArray(proxies) || proxies.length > proxiesMax)
    throw wrong(`write a list of up to ${proxiesMax} addresses and networks, such as ["10.0.0.0/8"].`);
  const list = new BlockList();
  for (const text of proxies as readonly string[]) {
    const [network = "", bits] = String(text).split("/");
    const family = isIP(network);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || !(prefix >= 0 && prefix <= most))
      throw wrong(`${JSON.stringify(text)} is no address or network; write for example "10.0.0.0/8" or "192.0.2.7".`);
    if (prefix === 0) throw wrong(`${JSON.stringify(text)} trusts everybody; name the proxies' own networks.`);
    list.addSubnet(network, prefix, family === 4 ? "ipv4" : "ipv6");
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? "ipv4" : "ipv6");
  };
}

function wrong(problem: string): StartError {
  return new StartError("TRUSTED_PROXIES_INVALID", `gateway: trustedProxies: ${problem}`);
}
