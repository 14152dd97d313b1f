import { isIP } from "node:net";
import type { OptionReader } from "./option-reader.ts";
import type { UpstreamTarget } from "./upstream-options.ts";

/** One declared target. */
export interface ParsedTarget {
  /** As it is called in messages and metrics: its origin, "http://orders:8080". */
  readonly origin: string;
  readonly host: string;
  readonly weight: number;
  readonly zone: string | undefined;
  /** Whether its name stands for addresses that are looked up, and again from time to time. */
  readonly isResolved: boolean;
}

const targetsMax = 1000;

export function readTargets(given: unknown, reader: OptionReader): readonly ParsedTarget[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > targetsMax) {
    reader.wrong(`targets: list 1 to ${targetsMax}, such as ["http://orders:8080"].`);
    return [];
  }
  const targets = given.map((each: string | UpstreamTarget) => readTarget(each, reader));
  const origins = targets.map((each) => each?.origin);
  for (const [i, origin] of origins.entries()) {
    if (origin !== undefined && origins.indexOf(origin) !== i) reader.wrong(`targets: ${origin} is listed twice.`);
  }
  return targets.filter((each) => each !== undefined);
}

function readTarget(given: string | UpstreamTarget, reader: OptionReader): ParsedTarget | undefined {
  const { url, weight, zone } = typeof given === "string" ? { url: given } : (given as Partial<UpstreamTarget>);
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.hostname === "") {
    reader.wrong(`targets: ${JSON.stringify(url)} is no address: write "http://host:port" or "https://host".`);
    return undefined;
  }
  if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "" || parsed.username !== "") {
    reader.wrong(`targets: ${JSON.stringify(url)}: leave out path, query and password; a route can rewrite its path.`);
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  return {
    origin: parsed.origin,
    host,
    weight: reader.count(`targets: ${parsed.origin}: weight`, weight, 1, 1000),
    zone,
    // This machine under its name is one place, whichever of its loopback addresses answers.
    isResolved: isIP(host) === 0 && !/(?:^|\.)localhost$/.test(host),
  };
}
