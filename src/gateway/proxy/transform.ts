import { wrongGateway } from "../errors.ts";
import { isHeaderName, isHeaderValue, isReservedHeader } from "../head.ts";

/** Changes to headers on their way through. Names in any case; values are sent as they stand. */
export interface HeaderChanges {
  /** Takes the place of whatever was there. */
  readonly set?: Readonly<Record<string, string>>;
  /** Beside what is there. */
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

/** Flat names and values, as they go over the wire; names in small letters. */
export type HeaderPairs = string[];

export type HeaderTransform = (pairs: HeaderPairs) => HeaderPairs;

/**
 * What a declared change may not touch: the framing of the message, what says who calls, and what the edge itself vouches
 * for. A header that two sides set would say something different to each.
 */
const vouched: ReadonlySet<string> = new Set(["host", "authorization", "www-authenticate", "date", "via"]);

function isVouched(name: string): boolean {
  return isReservedHeader(name) || vouched.has(name) || /^(?:x-plinth-|x-forwarded-|forwarded$)/.test(name);
}

/** Undefined where nothing is to be changed. Throws StartError HEADER_INVALID with every problem. */
export function compileTransform(where: string, changes: HeaderChanges | undefined): HeaderTransform | undefined {
  if (!changes) return undefined;
  const problems: string[] = [];
  const check = (given: string, value: string | undefined): string => {
    const name = given.toLowerCase();
    const at = `${where}: ${JSON.stringify(given)}`;
    if (!isHeaderName(name)) problems.push(`${at} is no header name; use letters, digits and dashes.`);
    else if (isVouched(name)) problems.push(`${at} is the gateway's own to set; remove it.`);
    else if (value !== undefined && (typeof value !== "string" || !isHeaderValue(value))) {
      problems.push(`${at}: its value has characters that no header may have, such as line breaks; remove them.`);
    }
    return name;
  };
  const pairsOf = (record: Readonly<Record<string, string>> = {}): string[] =>
    Object.entries(record).flatMap(([name, value]) => [check(name, value), value]);
  const set = pairsOf(changes.set);
  const add = pairsOf(changes.add);
  const gone = new Set((changes.remove ?? []).map((name) => check(name, undefined)));
  if (problems.length > 0) throw wrongGateway("HEADER_INVALID", problems);
  for (let i = 0; i < set.length; i += 2) gone.add(set[i] as string);
  if (gone.size === 0 && add.length === 0) return undefined;
  const more = [...set, ...add];
  return (pairs) => {
    const kept: string[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i] as string;
      if (!gone.has(name)) kept.push(name, pairs[i + 1] as string);
    }
    kept.push(...more);
    return kept;
  };
}
