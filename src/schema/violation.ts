import { pointerStep } from "./traversal.ts";

/** One way in which a value breaks its schema, told to the caller of an API. */
export interface Violation {
  /** RFC 6901: the place in the value. For a missing field, the place where it should be. */
  readonly pointer: string;
  /** Goes after the name of the place: "must be at least 0". */
  readonly message: string;
  /** The JSON Schema keyword that was broken; for a foreign schema, its library's name for the check. */
  readonly keyword: string;
}

/** More than this many are not listed. */
export const violationsMax = 100;

/** What a checker says about one broken keyword. */
export interface Fault {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly propertyName?: string | undefined;
  readonly message?: string | undefined;
}

export function toViolation(fault: Fault): Violation {
  const { keyword, params } = fault;
  return { pointer: fault.instancePath + stepOf(fault), message: messageOf(keyword, params, fault.message), keyword };
}

/** The keywords that a parent reports about one of its members point at that member. */
function stepOf(fault: Fault): string {
  const { params } = fault;
  const name =
    params.missingProperty ??
    params.additionalProperty ??
    params.unevaluatedProperty ??
    params.propertyName ??
    fault.propertyName;
  return typeof name === "string" ? pointerStep(name) : "";
}

const fixed: Readonly<Record<string, string>> = {
  required: "is required",
  additionalProperties: "is not a known field",
  unevaluatedProperties: "is not a known field",
  propertyNames: "is not an allowed name",
  oneOf: "matches more than one of the allowed forms",
  anyOf: "matches none of the allowed forms",
  not: "is not allowed",
  if: "does not meet its condition",
  "false schema": "is not allowed",
  "x-plinth": "must be bytes (in JSON: base64 text)",
};

function messageOf(keyword: string, params: Readonly<Record<string, unknown>>, fallback: string | undefined): string {
  const limit = Number(params.limit);
  switch (keyword) {
    case "type":
      return `must be ${oneOf([params.type].flat().map((type) => typeNames[String(type)] ?? String(type)))}`;
    case "const":
      return `must be ${literal(params.allowedValue)}`;
    case "enum":
      return `must be ${oneOf(listed(params.allowedValues))}`;
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return `must be ${comparisons[keyword]} ${limit}`;
    case "multipleOf":
      return `must be a multiple of ${params.multipleOf}`;
    case "minLength":
      return limit === 1 ? "must not be empty" : `must be at least ${count(limit, "character")} long`;
    case "maxLength":
      return `must be at most ${count(limit, "character")} long`;
    case "minItems":
      return `must have at least ${count(limit, "item")}`;
    case "maxItems":
    case "items":
    case "unevaluatedItems":
      return `must have at most ${count(Number(params.limit ?? params.len), "item")}`;
    case "minProperties":
      return `must have at least ${count(limit, "field")}`;
    case "maxProperties":
      return `must have at most ${count(limit, "field")}`;
    case "uniqueItems":
      return `must not repeat an item (${params.i} and ${params.j} are equal)`;
    case "contains":
      return `must contain at least ${count(Number(params.minContains ?? 1), "item")} of the required form`;
    case "pattern":
      return `must match the pattern ${params.pattern}`;
    case "format":
      return `must be ${formatNames[String(params.format)] ?? `a valid ${params.format}`}`;
    case "dependentRequired":
    case "dependencies":
      return `is required when ${literal(params.property)} is given`;
    default:
      return fixed[keyword] ?? fallback ?? "is not valid";
  }
}

const comparisons: Readonly<Record<string, string>> = {
  minimum: "at least",
  maximum: "at most",
  exclusiveMinimum: "greater than",
  exclusiveMaximum: "less than",
};

const typeNames: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "an integer",
  boolean: "true or false",
  null: "null",
  object: "an object",
  array: "an array",
};

const formatNames: Readonly<Record<string, string>> = {
  "date-time": "a date and time such as 2026-01-31T12:00:00Z",
  date: "a date such as 2026-01-31",
  time: "a time such as 12:00:00Z",
  duration: "an ISO 8601 duration such as PT15M",
  email: "an email address",
  uri: "a URI",
  url: "a URL",
  "uri-reference": "a URI reference",
  uuid: "a UUID",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
  hostname: "a host name",
  regex: "a regular expression",
  "json-pointer": "a JSON Pointer",
};

const listedValuesMax = 10;

function listed(values: unknown): string[] {
  const all = Array.isArray(values) ? values : [];
  const names = all.slice(0, listedValuesMax).map(literal);
  return all.length > listedValuesMax ? [...names, `${all.length - listedValuesMax} other values`] : names;
}

/** "a", "a or b", "one of a, b, c". Also used for the branches of a union. */
export function oneOf(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? "absent";
  if (names.length === 2) return `${names[0]} or ${names[1]}`;
  return `one of ${names.join(", ")}`;
}

function literal(value: unknown): string {
  return JSON.stringify(value);
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
