import { BlockList, isIP } from "node:net";

/**
 * What an IP address is, for the question whether it may be called: `loopback` (this machine), `private` (RFC 1918, RFC
 * 6598, RFC 4193), `link-local` (this network segment, and the addresses where clouds hand out credentials), `reserved`
 * (everything else that is no place on the internet), `public`.
 *
 * An IPv6 address that stands for an IPv4 one (mapped, NAT64) is what that one is. Sources: IANA's IPv4 and IPv6 Special-Purpose
 * Address Registries (RFC 6890).
 */
export type AddressKind = "public" | "private" | "loopback" | "link-local" | "reserved";

/** Not all of them lie in a link-local range: those of Azure, Alibaba, Oracle, and of AWS over IPv6. */
const metadata = ["168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"];

/** In the order in which they are asked: the narrow before the wide. */
const ranges: readonly (readonly [AddressKind, readonly string[]])[] = [
  ["link-local", [...metadata, "169.254.0.0/16", "fe80::/10", "fec0::/10"]],
  ["loopback", ["127.0.0.0/8", "::1/128"]],
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]],
  [
    "reserved",
    [
      ...["0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"],
      ...["203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
      ...["::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "ff00::/8"],
    ],
  ],
];

let lists: readonly (readonly [AddressKind, BlockList])[] | undefined;

function listOf(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = "", bits] = block.split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

/** Undefined for what is no IP address. A zone (`fe80::1%eth0`) is looked past. */
export function addressKindOf(text: string): AddressKind | undefined {
  const address = text.split("%")[0] as string;
  const version = isIP(address);
  if (version === 0) return undefined;
  const inner = version === 6 ? ipv4Within(address) : undefined;
  if (inner !== undefined) return addressKindOf(inner);
  const family = version === 6 ? "ipv6" : "ipv4";
  lists ??= ranges.map(([kind, blocks]) => [kind, listOf(blocks)] as const);
  return lists.find(([, list]) => list.check(address, family))?.[0] ?? "public";
}

/** The IPv4 address that `::ffff:a.b.c.d` and `64:ff9b::a.b.c.d` stand for. */
function ipv4Within(address: string): string | undefined {
  // The URL parser writes each address in its one short form (RFC 5952), with the last 32 bits in hexadecimal.
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const match = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})?$/.exec(short);
  if (!match) return undefined;
  const [high, low] = [Number.parseInt(match[1] ?? "0", 16), Number.parseInt(match[2] ?? "0", 16)];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}
