import type { ClientFacts } from "./address.ts";

/**
 * The headers by which proxies tell where a request comes from. What arrives under these names may be the client's own
 * invention, so no handler gets to see it: handlers find there what the gateway knows, in its own words, or nothing.
 */
const told: ReadonlySet<string> = new Set([
  "cf-connecting-ip",
  "fastly-client-ip",
  "forwarded",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-envoy-external-address",
  "x-forwarded",
  "x-original-forwarded-for",
  "x-original-host",
  "x-real-ip",
]);

/** Whether a header, in small letters, is one of them. Programs that read headers as variables take "_" for "-". */
export function tellsOfClient(name: string): boolean {
  const plain = name.includes("_") ? name.replaceAll("_", "-") : name;
  return plain.startsWith("x-forwarded-") || told.has(plain);
}

/** What the gateway says instead, names and values by turns. */
export function clientHeaders({ address, protocol, host }: ClientFacts): readonly string[] {
  const pairs = ["x-forwarded-for", address, "x-forwarded-proto", protocol];
  if (host !== undefined) pairs.push("x-forwarded-host", host);
  return pairs;
}
