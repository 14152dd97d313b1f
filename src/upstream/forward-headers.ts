import type { IncomingHttpHeaders } from "node:http";
import { isIPv6 } from "node:net";
import { hopByHopHeaders } from "../wire/index.ts";
import type { ForwardClient, ForwardRequest } from "./upstream.ts";

/** They end with the connection; `Expect` is answered by whoever hears it first. */
const ofConnection: ReadonlySet<string> = new Set([...hopByHopHeaders, "expect"]);

/** Said anew by us: what a client says of these proves nothing. */
const ofProxies: ReadonlySet<string> = new Set([
  "forwarded",
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-real-ip",
]);

const notPassed: ReadonlySet<string> = new Set([...ofConnection, ...ofProxies]);

/** How this process calls itself in `Via`. */
const pseudonym = "plinth";
const passesMax = 10;

/** The headers that the target gets; undefined when the request has passed here too often. */
export function requestHeaders(
  request: Omit<ForwardRequest, "body" | "onCancel">,
  options: RequestHeaderOptions,
): string[] | undefined {
  const { headers, client, trace } = request;
  const named = namedByConnection(headers);
  const sent: string[] = options.keepsHost ? ["host", client.host] : [];
  let via = "";
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    const value = headers[i + 1] as string;
    if (name === "via") via += via === "" ? value : `, ${value}`;
    if (notPassed.has(name) || named?.has(name)) continue;
    if (trace && (name === "traceparent" || name === "tracestate")) continue;
    if (name === "content-length" && !options.keepsLength) continue;
    sent.push(name, value);
  }
  if (via !== "" && via.split(` ${pseudonym}`).length > passesMax) return undefined;
  sent.push("via", via === "" ? `1.1 ${pseudonym}` : `${via}, 1.1 ${pseudonym}`);
  for (const each of originOf(client)) sent.push(each);
  if (trace) {
    sent.push("traceparent", trace.traceparent());
    if (trace.tracestate) sent.push("tracestate", trace.tracestate);
  }
  return sent;
}

export interface RequestHeaderOptions {
  readonly keepsHost: boolean;
  /** The length of a body that is sent as it comes; of others it is known. */
  readonly keepsLength: boolean;
}

/** What is said of a client. One connection brings many requests of one client, so it is kept with that. */
function originOf(client: ForwardClient): readonly string[] {
  let pairs = origins.get(client);
  if (!pairs) {
    pairs = tellOrigin(client);
    origins.set(client, pairs);
  }
  return pairs;
}

const origins = new WeakMap<ForwardClient, readonly string[]>();

function tellOrigin({ addresses, proto, host }: ForwardClient): readonly string[] {
  const pairs = ["x-forwarded-for", addresses.join(", "), "x-forwarded-proto", proto];
  if (host !== "") pairs.push("x-forwarded-host", host);
  // RFC 7239: one element for each proxy; the first of them saw the client.
  const [first = "", ...others] = addresses.map((address) => `for=${nodeOf(address)}`);
  const seen = host === "" ? `${first};proto=${proto}` : `${first};host=${quoted(host)};proto=${proto}`;
  pairs.push("forwarded", [seen, ...others].join(", "));
  return pairs;
}

function nodeOf(address: string): string {
  if (address.includes(":") && isIPv6(address)) return `"[${address}]"`;
  return quoted(address);
}

function quoted(text: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

/** The names that `Connection` lists; undefined in the usual case, where it lists nothing that would be sent on. */
function namedByConnection(headers: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    names = addNames(names, headers[i + 1] as string);
  }
  return names;
}

function addNames(names: Set<string> | undefined, value: string): Set<string> | undefined {
  let found = names;
  for (const each of value.split(",")) {
    const name = each.trim().toLowerCase();
    // What frames the message cannot be taken out by a name in a list.
    if (name === "" || name === "close" || name === "content-length" || ofConnection.has(name)) continue;
    found ??= new Set();
    found.add(name);
  }
  return found;
}

/** The headers that the client gets of the target's answer: flat, names in lower case. */
export function answerHeaders(headers: IncomingHttpHeaders): string[] {
  const { connection } = headers;
  const named = connection === undefined ? undefined : addNames(undefined, String(connection));
  const sent: string[] = [];
  for (const name of Object.keys(headers)) {
    if (ofConnection.has(name) || named?.has(name)) continue;
    const value = headers[name];
    if (typeof value === "string") sent.push(name, value);
    else if (value) for (const each of value) sent.push(name, each);
  }
  return sent;
}
