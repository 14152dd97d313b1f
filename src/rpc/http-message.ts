import { error } from "../base/index.ts";

/** What of an outside service's method says how it is called. */
export interface HttpTarget {
  /** For messages: "shipping.quote". */
  readonly id: string;
  readonly verb: string;
  /** A template: "/orders/:orderId/parcels". */
  readonly path: string;
}

export interface HttpMessage {
  /** Path and query, encoded. */
  readonly path: string;
  readonly body: string | undefined;
}

const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

/**
 * Turns one flat message into path, query and body: path parameters by name; the rest into the query string for GET, HEAD
 * and DELETE (lists as repeated names, objects as JSON, undefined and null left out), otherwise into a JSON body.
 */
export function compileHttpMessage(target: HttpTarget): (request: unknown) => HttpMessage {
  const parts = target.path.split("/").map((part) => (part.startsWith(":") ? { name: part.slice(1) } : part));
  const names = new Set(parts.flatMap((part) => (typeof part === "string" ? [] : [part.name])));
  const hasBody = !bodiless.has(target.verb);
  return (request) => {
    const message = (request ?? {}) as Readonly<Record<string, unknown>>;
    const path = parts
      .map((part) => (typeof part === "string" ? part : segmentOf(target, message, part.name)))
      .join("/");
    const rest = Object.keys(message).filter((name) => !names.has(name) && message[name] !== undefined);
    if (hasBody) {
      const members = Object.fromEntries(rest.map((name) => [name, message[name]]));
      return { path, body: rest.length > 0 || names.size === 0 ? toJson(members) : undefined };
    }
    const query = rest.flatMap((name) => queryPairs(name, message[name])).join("&");
    return { path: query === "" ? path : `${path}?${query}`, body: undefined };
  };
}

/** HTTP_PATH_INVALID: a value that as a part of a path would lead to another route. */
function segmentOf(target: HttpTarget, message: Readonly<Record<string, unknown>>, name: string): string {
  const text = textOf(message[name]);
  if (text === undefined || text === "" || text === "." || text === "..") {
    throw error("invalid_argument", `"${name}" cannot be a part of a path.`, {
      reason: "HTTP_PATH_INVALID",
      executed: "no",
      detail: `${target.id}: ${target.verb} ${target.path}`,
    });
  }
  return encodeURIComponent(text);
}

function queryPairs(name: string, value: unknown): string[] {
  const values = Array.isArray(value) ? value : [value];
  return values.flatMap((each) => {
    const text = textOf(each);
    return text === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(text)}`];
  });
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return typeof value === "object" ? toJson(value) : String(value);
}

/** JSON in which bytes are base64, as the schemas of an API say. */
function toJson(value: unknown): string {
  return JSON.stringify(value, function replace(this: Record<string, unknown>, name, member) {
    const raw = this[name];
    return raw instanceof Uint8Array ? Buffer.from(raw).toString("base64") : member;
  });
}
