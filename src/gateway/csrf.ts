import { HttpError } from "../wire/index.ts";
import { wrongGateway } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Step } from "./step.ts";

/**
 * Keeps pages of other origins from acting in the name of a user whose browser sends a cookie along, for handlers that
 * know their users by one: mounted apps, outside systems, raw methods. A bearer token needs none of this, and a request
 * without such a cookie is not looked at.
 *
 * A request that may change something (no GET, HEAD or OPTIONS) and carries one of `cookies` must be shown to come from a
 * page of this origin or of `origins`: by `Sec-Fetch-Site`, which a page cannot set, and where an old browser sends none,
 * by `Origin`. One that shows neither is 403 as well: whoever sends such a cookie is, or plays, a browser.
 */
export interface CsrfOptions {
  /** Names of the cookies that sign a user in. */
  readonly cookies: readonly string[];
  /** Further origins whose pages may act for the user, such as `"https://admin.example"`. Default: this one alone. */
  readonly origins?: readonly string[];
}

/** CROSS_SITE_REQUEST: a page of another origin wants to act for the user. */
const crossSiteRequest = (): HttpError =>
  new HttpError(403, "permission_denied", "Pages of this origin may not act for a signed-in user here.", {
    reason: "CROSS_SITE_REQUEST",
  });

const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Undefined where nothing is declared. Throws StartError CSRF_INVALID. */
export function compileCsrf(options: CsrfOptions | undefined): Step | undefined {
  if (!options) return undefined;
  check(options);
  const { cookies, origins = [] } = options;
  const signsIn = new RegExp(`(?:^|;)[ \\t]*(?:${cookies.map(escapePattern).join("|")})[ \\t]*=`);
  const trusted = new Set(origins);

  return (exchange, next) => {
    const { cookie } = exchange.headers;
    if (cookie !== undefined && !safeMethods.has(exchange.method) && signsIn.test(cookie)) {
      if (!isOwn(exchange, trusted)) throw crossSiteRequest();
    }
    next(exchange);
  };
}

function isOwn({ headers, client }: Exchange, trusted: ReadonlySet<string>): boolean {
  const { origin } = headers;
  if (origin !== undefined && trusted.has(origin)) return true;
  const site = headers["sec-fetch-site"];
  // "none": the user's own doing, such as a bookmark; no page can bring it about.
  if (site !== undefined) return site === "same-origin" || site === "none";
  return origin !== undefined && origin === `${client.protocol}://${client.host ?? headers.host ?? ""}`;
}

const cookieName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const originPattern = /^https?:\/\/[^/?#@*A-Z\s]+$/;

function check({ cookies, origins = [] }: CsrfOptions): void {
  const problems: string[] = [];
  if (!Array.isArray(cookies) || cookies.length === 0) {
    problems.push("gateway: csrf.cookies: name the cookies that sign a user in.");
  } else {
    for (const name of cookies) {
      if (!cookieName.test(name)) problems.push(`gateway: csrf.cookies: ${JSON.stringify(name)} is no cookie name.`);
    }
  }
  for (const origin of origins) {
    if (!originPattern.test(origin)) {
      problems.push(
        `gateway: csrf.origins: ${JSON.stringify(origin)} is no exact origin; write it as "https://admin.example".`,
      );
    }
  }
  if (problems.length > 0) throw wrongGateway("CSRF_INVALID", problems);
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
