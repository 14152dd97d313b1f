import type { Compiled } from "../schema/index.ts";
import { compileStrings } from "../schema/index.ts";
import type { Operation, Route } from "../service/index.ts";
import { requireJson } from "./content-type.ts";
import { bodyUnexpected, jsonMalformed, lengthRequired, queryUnexpected } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { parseJson } from "./json.ts";
import { addQuery, EmptyTexts } from "./query.ts";

/**
 * A request is one flat message: path parameters by name, the rest from the query string for GET, HEAD and DELETE, and
 * from the JSON body otherwise. A path parameter wins over a field of the same name. A field of the message in the query
 * string of a request with a body is refused (400): it would be lost without a word. Other names there, such as those that
 * advertising adds to links, mean nothing to us and are left alone, as unknown fields are.
 *
 * Text from the path and the query becomes numbers, booleans and arrays by the schema; what does not fit is left for the
 * validator to name. `parse` checks the whole message (422 with every violation) and gives a copy of its declared fields.
 */
export interface MessageReader {
  /** Whether the message has a body. */
  readonly takesBody: boolean;
  /** For requests without a body. */
  fromQuery(exchange: Exchange): unknown;
  /** Refuses by head alone what no body could make good: 411 when one is needed and none is announced, 415, fields in the query. */
  checkHeaders(exchange: Exchange): void;
  fromBody(exchange: Exchange, body: Buffer): unknown;
}

export function compileMessage(
  operation: Operation,
  route: Route,
  { jsonDepth, parsesAgain = false }: { readonly jsonDepth: number; readonly parsesAgain?: boolean },
): MessageReader {
  const { request } = operation;
  const schema = request.jsonSchema;
  const takesBody = route.verb === "POST" || route.verb === "PUT" || route.verb === "PATCH";
  const { params } = route;
  const convert = compileStrings(schema);
  const needsBody = takesBody && (schema.required ?? []).some((name) => !params.includes(name));
  const fields = new Set(Object.keys(schema.properties ?? {}).filter((name) => !params.includes(name)));
  const hasParams = params.length > 0;
  const parse = parsesAgain && !request.native ? checked(request) : request.parse;

  return {
    takesBody,
    fromQuery(exchange) {
      requireNoBody(exchange);
      if (exchange.query !== "") addQuery(exchange.params, exchange.query, params);
      return parse(convert(exchange.params));
    },
    checkHeaders({ req, headers, query }) {
      if (query !== "") requireNoField(req.method as string, query, fields);
      const length = headers["content-length"];
      if (length === undefined && headers["transfer-encoding"] === undefined) {
        if (needsBody) throw lengthRequired();
      } else if (length !== "0" || headers["content-type"] !== undefined) {
        requireJson(req.method as string, headers["content-type"], headers["content-encoding"]);
      }
    },
    fromBody(exchange, body) {
      if (body.length === 0 && exchange.headers["content-type"] !== undefined && isFramed(exchange)) {
        throw jsonMalformed("a value", { position: 0, line: 1, column: 1 });
      }
      const value = body.length === 0 ? {} : parseJson(body, jsonDepth);
      if (hasParams && typeof value === "object" && value !== null && !Array.isArray(value)) {
        const converted = convert(exchange.params);
        for (const name of params) (value as Record<string, unknown>)[name] = converted[name];
      }
      return parse(value);
    },
  };
}

/** Refuses what does not fit, and leaves the transforming to the other end: twice is once too often. */
function checked(request: Compiled): (value: unknown) => unknown {
  return (value) => {
    request.parse(value);
    return value;
  };
}

/** A body that came with a length, were it 0, and a type: it claims to be JSON, and nothing is no JSON. */
function isFramed({ headers }: Exchange): boolean {
  return headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
}

function requireNoBody({ req, headers }: Exchange): void {
  const length = headers["content-length"];
  if (headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0")) {
    throw bodyUnexpected(req.method as string);
  }
}

function requireNoField(method: string, query: string, fields: ReadonlySet<string>): void {
  const texts = new EmptyTexts();
  addQuery(texts, query, []);
  for (const name in texts) if (fields.has(name)) throw queryUnexpected(method, name);
}
