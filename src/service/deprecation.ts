/**
 * What a method's callers are told before it goes away: since when it should not be used any more, from when on it may be
 * gone, and what to use instead. Every answer says so in headers (RFC 9745, RFC 8594), and the gateway counts who still calls.
 */
export interface Deprecation {
  /** `"2026-11-01"`, or with a time: `"2026-11-01T12:00:00Z"`. May lie ahead. */
  readonly since: string;
  /** From then on it may be gone. Not before `since`. */
  readonly sunset?: string;
  /** A page that tells more: `"https://shop.example/docs/v2"`. */
  readonly link?: string;
  /** What to use instead: a path or an address. */
  readonly successor?: string;
}

export interface DeprecationPlan {
  readonly sinceMs: number;
  readonly sunsetMs: number | undefined;
  readonly link: string | undefined;
  readonly successor: string | undefined;
}

/** Adds what is wrong to `problems`. */
export function compileDeprecation(
  id: string,
  declared: Deprecation | undefined,
  problems: string[],
): DeprecationPlan | undefined {
  if (declared === undefined) return undefined;
  const { since, sunset, link, successor } = declared;
  const timeOf = (field: "since" | "sunset", text: string): number => {
    const ms = isoPattern.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(ms)) {
      problems.push(
        `${id}: deprecated.${field}: ${JSON.stringify(text)} is no date; write "2026-11-01" or "2026-11-01T12:00:00Z".`,
      );
    }
    return ms;
  };
  const sinceMs = timeOf("since", since);
  const sunsetMs = sunset === undefined ? undefined : timeOf("sunset", sunset);
  if (sunsetMs !== undefined && sunsetMs < sinceMs) {
    problems.push(`${id}: deprecated.sunset: "${sunset}" is before "${since}"; nothing ends before it is deprecated.`);
  }
  for (const [field, address] of Object.entries({ link, successor })) {
    if (address !== undefined && !addressPattern.test(address)) {
      problems.push(
        `${id}: deprecated.${field}: ${JSON.stringify(address)} is neither an https address nor a path without spaces and brackets.`,
      );
    }
  }
  return { sinceMs, sunsetMs, link, successor };
}

const isoPattern = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const addressPattern = /^(?:https:\/\/[A-Za-z0-9.-]+(?::\d+)?)?\/[!#-;=?-~]*$|^https:\/\/[A-Za-z0-9.-]+$/;

/** Names and values for the answers of a deprecated method. */
export function deprecationHeaders({ sinceMs, sunsetMs, link, successor }: DeprecationPlan): readonly string[] {
  const headers = ["deprecation", `@${Math.floor(sinceMs / 1000)}`];
  if (sunsetMs !== undefined) headers.push("sunset", new Date(sunsetMs).toUTCString());
  const links = [
    ...(link === undefined ? [] : [`<${link}>; rel="deprecation"; type="text/html"`]),
    ...(link === undefined || sunsetMs === undefined ? [] : [`<${link}>; rel="sunset"; type="text/html"`]),
    ...(successor === undefined ? [] : [`<${successor}>; rel="successor-version"`]),
  ];
  if (links.length > 0) headers.push("link", links.join(", "));
  return headers;
}
