import type { Socket } from "node:net";
import type { Principal } from "../../base/index.ts";
import type { ForwardClient } from "../../upstream/index.ts";
import { hopByHopHeaders } from "../../wire/index.ts";
import type { ClientFacts } from "../client/address.ts";
import { tellsOfClient } from "../client/address-headers.ts";
import type { Exchange } from "../exchange.ts";
import { memoize } from "../memo.ts";
import { hostName } from "../route-table.ts";
import type { HeaderPairs } from "./transform.ts";

/**
 * The headers that pass between a client and an outside system, in both directions.
 *
 * Nothing passes that belongs to one connection alone (RFC 9110, 7.6.1): those names, and whatever `Connection` lists. And
 * nothing passes inwards that only the gateway may say: who calls (`X-Plinth-*`), from where (`Forwarded`,
 * `X-Forwarded-*` and others, `client/address-headers.ts`), and which path or method is meant (`X-Original-URL`, `X-HTTP-Method-Override`). What the gateway says
 * itself is added after everything else, so that no `Connection: X-Forwarded-For` takes it away.
 */
const ofConnection: ReadonlySet<string> = new Set(hopByHopHeaders);

/** Beside those: what the gateway decides anew or answers itself. */
const neverInwards: ReadonlySet<string> = new Set([
  "expect",
  "host",
  "plinth-position",
  "traceparent",
  "tracestate",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-url",
  "x-request-id",
  "x-rewrite-url",
]);

/** The end-to-end headers of a request, without what only the gateway may say, and without credentials that it has read. */
export function inwardHeaders(
  rawHeaders: readonly string[],
  credentials: ReadonlySet<string>,
  passesCredentials: boolean,
): HeaderPairs {
  const listed = namesInConnection(rawHeaders);
  const pairs: string[] = [];
  let cookieAt = -1;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    // A server that hands headers to programs as variables cannot tell "-" from "_".
    const plain = name.includes("_") ? name.replaceAll("_", "-") : name;
    if (ofConnection.has(plain) || listed?.has(name) || (plain === "content-length" && name !== plain)) continue;
    if (name === "cookie") {
      // HTTP/2 may cut it into several, which HTTP/1.1 must not see (RFC 9113, 8.2.3).
      if (cookieAt === -1) cookieAt = pairs.push(name, rawHeaders[i + 1] as string) - 1;
      else pairs[cookieAt] += `; ${rawHeaders[i + 1]}`;
      continue;
    }
    if (neverInwards.has(plain) || plain.startsWith("x-plinth-") || tellsOfClient(plain)) continue;
    if (credentials.has(plain) && !(passesCredentials && name === plain)) continue;
    pairs.push(name, rawHeaders[i + 1] as string);
  }
  return pairs;
}

/** Who calls, as the gateway verified it. Text is percent-encoded, so that any subject fits into a header. Added last. */
export function principalHeaders(principal: Principal): readonly string[] {
  let pairs = saidOf.get(principal);
  if (!pairs) {
    pairs = pairsOf(principal);
    saidOf.set(principal, pairs);
  }
  return pairs;
}

/** A verified token is remembered with its principal, and so is what is said of it. */
const saidOf = new WeakMap<Principal, readonly string[]>();

function pairsOf(principal: Principal): readonly string[] {
  if (principal.kind === "anonymous") return [];
  const pairs = ["x-plinth-kind", principal.kind, "x-plinth-subject", encodeURIComponent(principal.subject)];
  if (principal.scopes.length > 0) pairs.push("x-plinth-scopes", principal.scopes.map(encodeScope).join(" "));
  for (const [claim, header] of claimHeaders) {
    const value = principal.claims[claim];
    if (typeof value === "string") pairs.push(header, encodeURIComponent(value));
  }
  return pairs;
}

/** Whence a request came, as the gateway knows it. Throws 400 for a `Host` that is none. */
export function forwardClientOf({ req, client }: Exchange): ForwardClient {
  const { host } = req.headers;
  // Whoever has left may have none.
  const socket: Socket | null | undefined = req.socket;
  const last = socket && lastOf.get(socket);
  if (last && last.given === host && isSame(last.client, client, host)) return last.client;
  if (host !== undefined) checkHost(host);
  const found = { addresses: [client.address], proto: client.protocol, host: client.host ?? host ?? "" };
  if (socket) lastOf.set(socket, { given: host, client: found });
  return found;
}

/** By connection: it brings requests of one client as a rule. */
const lastOf = new WeakMap<Socket, { readonly given: string | undefined; readonly client: ForwardClient }>();

function isSame(last: ForwardClient, { address, protocol, host }: ClientFacts, given: string | undefined): boolean {
  return last.addresses[0] === address && last.proto === protocol && last.host === (host ?? given ?? "");
}

const checkHost = memoize(hostName);

const claimHeaders = [
  ["client_id", "x-plinth-client"],
  ["tenant", "x-plinth-tenant"],
  // Two issuers may know two people by one subject.
  ["iss", "x-plinth-issuer"],
] as const;

/** A scope is visible ASCII already (RFC 6749, 3.3). */
function encodeScope(scope: string): string {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope) ? scope : encodeURIComponent(scope);
}

/** What an answer of an outside system may not say through the gateway: whom a browser lets read it is declared here. */
function isEdgeOwn(name: string): boolean {
  return name.startsWith("access-control-") || neverOutwards.has(name);
}

/** Beside those: what names the software inside, for whoever looks for its holes. */
const neverOutwards: ReadonlySet<string> = new Set(["plinth-position", "server", "x-powered-by", "x-request-id"]);

/** The end-to-end headers of an outside system's answer. `hsts` is the gateway's own `Strict-Transport-Security`: what holds for the whole host is not theirs to say. */
export function outwardHeaders(headers: readonly string[], hsts: string | undefined): HeaderPairs {
  const listed = namesInConnection(headers);
  const pairs: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (ofConnection.has(name) || listed?.has(name) || isEdgeOwn(name)) continue;
    if (hsts !== undefined && name === "strict-transport-security") continue;
    pairs.push(name, headers[i + 1] as string);
  }
  if (hsts !== undefined) pairs.push("strict-transport-security", hsts);
  return pairs;
}

/** The names that `Connection` lists; undefined in the usual case, where it lists none of the end-to-end ones. */
function namesInConnection(headers: readonly string[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    for (const part of (headers[i + 1] as string).split(",")) {
      const listed = part.trim().toLowerCase();
      if (listed !== "" && listed !== "close" && listed !== "keep-alive") {
        names ??= new Set();
        names.add(listed);
      }
    }
  }
  // What frames the message is never the connection's alone: without it the body would be cut elsewhere.
  names?.delete("content-length");
  names?.delete("host");
  return names;
}
