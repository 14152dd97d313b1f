import { isErrorCode, parseDuration, toBytes, toMs } from "../base/index.ts";
import type { Level } from "../resilience/index.ts";
import { criticalities, isCriticality, levelOf } from "../resilience/index.ts";
import type { Compiled, Schema } from "../schema/index.ts";
import { compile, t } from "../schema/index.ts";
import type { Access } from "./access.ts";
import { isAccess } from "./access.ts";
import type { AnyContract } from "./contract.ts";
import type { DeprecationPlan } from "./deprecation.ts";
import { compileDeprecation } from "./deprecation.ts";
import { compileHedge } from "./hedge.ts";
import type { KeyPlan } from "./key-plan.ts";
import { compileKeyPlan, keyErrors, requiredKeyErrors } from "./key-plan.ts";
import type { MethodLimits } from "./limits.ts";
import { compileMethodLimits } from "./limits.ts";
import type { AnyMethod, DeclaredErrors, HttpVerb } from "./method.ts";
import { compileVersions } from "./version.ts";

/** A method, compiled: everything that could be decided before the first request. */
export interface Operation {
  /** `"catalog.getProduct"`. */
  readonly id: string;
  readonly service: string;
  readonly name: string;
  readonly kind: "unary" | "stream" | "raw";
  readonly definition: AnyMethod;
  readonly route: Route | undefined;
  readonly request: Compiled;
  /** The answer, or one item of the stream. Undefined where nothing is answered (204) and for raw. */
  readonly response: Compiled | undefined;
  readonly access: Access;
  /** The method's own limit, or undefined for the default of whoever calls. */
  readonly deadlineMs: number | undefined;
  /** Calling twice is as good as once. */
  readonly idempotent: boolean;
  /** After how long callers elsewhere ask a second time; undefined where they never do. */
  readonly hedgeMs: number | undefined;
  /** ... for calls with an idempotency key. */
  readonly keyed: boolean;
  /** How its keys are kept; undefined where it has none. */
  readonly keys: KeyPlan | undefined;
  /** Declared errors: reason to code. */
  readonly errors: ReadonlyMap<string, string>;
  readonly bodyLimitBytes: number;
  /** Of calls that begin with it. */
  readonly level: Level;
  /** How often it may be called over HTTP; `false`: without any limit. */
  readonly limits: MethodLimits | false | undefined;
  readonly deprecated: DeprecationPlan | undefined;
  /** The versions of the API that it belongs to, ascending; none: all. */
  readonly versions: readonly number[];
  /** HTTP status of success. */
  readonly status: number;
  readonly cache: CachePlan | undefined;
}

export interface CachePlan {
  readonly ttlMs: number;
  readonly private: boolean;
  readonly tagsOf: ((request: any) => readonly string[]) | undefined;
  readonly staleMs: number | undefined;
  readonly staleIfErrorMs: number | undefined;
}

export interface Route {
  readonly verb: HttpVerb;
  /** `"/products/:id"`. */
  readonly path: string;
  /** Names of the path's parameters, `"*"` for a wildcard. */
  readonly params: readonly string[];
}

const bodyLimitDefault = 1024 * 1024;
const noFields: Schema = t.Object({});

/**
 * What a raw call looks like between processes. The body travels as bytes.
 */
export const rawRequestSchema: Schema = t.Object({
  method: t.String(),
  url: t.String(),
  headers: t.Record(t.String(), t.String()),
  params: t.Record(t.String(), t.String()),
  body: t.Bytes(),
});
export const rawResponseSchema: Schema = t.Object({
  status: t.Integer(),
  headers: t.Record(t.String(), t.Union([t.String(), t.Array(t.String())])),
  body: t.Bytes(),
});

/** Compiles every method of a contract. What is wrong is added to `problems`, each with its remedy. */
export function compileOperations(contract: AnyContract, problems: string[]): ReadonlyMap<string, Operation> {
  const operations = new Map<string, Operation>();
  for (const [name, definition] of Object.entries(contract.methods)) {
    const operation = compileOperation(contract, name, definition, problems);
    if (operation) operations.set(name, operation);
  }
  return operations;
}

function compileOperation(
  { name: service, version }: AnyContract,
  name: string,
  definition: AnyMethod,
  problems: string[],
): Operation | undefined {
  const id = `${service}.${name}`;
  const { options, kind } = definition;
  const attempt = <T>(field: string, build: () => T): T | undefined => {
    try {
      return build();
    } catch (thrown) {
      problems.push(`${id}: ${field}: ${(thrown as Error).message}`);
      return undefined;
    }
  };
  const route = options.http === undefined ? undefined : parseRoute(id, options.http, problems);
  const requestSchema = kind === "raw" ? rawRequestSchema : (definition.options.request ?? noFields);
  const request = attempt("request", () => compile(requestSchema));
  const responseSchema = responseOf(definition);
  const response = responseSchema && attempt("response", () => compile(responseSchema));
  const deadlineMs =
    options.deadline === undefined ? undefined : attempt("deadline", () => toMs(options.deadline ?? 0));
  const bodyLimitBytes = attempt("bodyLimit", () => toBytes(options.bodyLimit ?? bodyLimitDefault));
  const cache = compileCaching(definition, id, route, problems);
  if (deadlineMs === 0) problems.push(`${id}: deadline: 0 leaves no time at all; write for example "2s".`);
  if (route && request && kind !== "raw") checkParameters(id, route, request, problems);
  if (options.access !== undefined && !isAccess(options.access)) {
    problems.push(
      `${id}: access: ${JSON.stringify(options.access)} is no access rule; write "public", "authenticated", or a rule of "scope", "role", "can" and, with "can", "resource", such as { scope: "orders:read" }.`,
    );
  }
  const keys = compileKeyPlan(definition, id, route?.verb, problems);
  const declared = compileErrors(id, kind === "raw" ? [] : definition.options.errors, problems);
  if (options.criticality !== undefined && !isCriticality(options.criticality)) {
    problems.push(`${id}: criticality: "${options.criticality}" is none; use one of ${criticalities.join(", ")}.`);
  }
  const errors = keys ? new Map([...(keys.isRequired ? requiredKeyErrors : keyErrors), ...declared]) : declared;
  const deprecated = compileDeprecation(id, options.deprecated, problems);
  const versions = compileVersions(id, options.version ?? version, problems);
  if (!request) return undefined;
  return {
    id,
    service,
    name,
    kind,
    definition,
    route,
    request,
    response,
    access: options.access ?? "authenticated",
    deadlineMs,
    deprecated,
    versions,
    idempotent: isIdempotent(definition, route),
    hedgeMs: compileHedge(definition, id, isIdempotent(definition, route), problems),
    keyed: keys !== undefined,
    keys,
    errors,
    bodyLimitBytes: bodyLimitBytes ?? bodyLimitDefault,
    level: levelOf(options.criticality),
    limits: compileMethodLimits(id, options, problems),
    status:
      (definition.kind === "unary" ? definition.options.status : undefined) ??
      (kind === "unary" && !response ? 204 : 200),
    cache,
  };
}

const keptMsMax = 30 * 86_400_000;

function compileCaching(
  definition: AnyMethod,
  id: string,
  route: Route | undefined,
  problems: string[],
): CachePlan | undefined {
  const declared = definition.kind === "unary" ? definition.options.cache : undefined;
  if (!declared || definition.kind !== "unary") return undefined;
  const { access = "authenticated", response } = definition.options;
  const msOf = (field: "ttl" | "stale" | "staleIfError"): number | undefined => {
    const given = declared[field];
    const ms = given === undefined ? undefined : parseDuration(given);
    if (given !== undefined && (ms === undefined || ms < 1 || ms > keptMsMax)) {
      problems.push(`${id}: cache.${field}: ${JSON.stringify(given)} cannot be; give "1ms" to "30d", such as "30s".`);
    }
    return ms;
  };
  if (definition.options.http !== undefined && route?.verb !== "GET") {
    problems.push(
      `${id}: cache: only a method with a GET route, or with none, can be cached; remove "cache" or change "http".`,
    );
  }
  if (!response) problems.push(`${id}: cache: there is no answer to keep; declare "response" or remove "cache".`);
  else if (JSON.stringify(response).includes('"x-plinth":"bytes"')) {
    problems.push(`${id}: cache: an answer with t.Bytes() cannot be kept; answer with text or remove "cache".`);
  }
  return {
    ttlMs: msOf("ttl") ?? 0,
    private: declared.private ?? access !== "public",
    tagsOf: declared.tags,
    staleMs: msOf("stale"),
    staleIfErrorMs: msOf("staleIfError"),
  };
}

function responseOf(definition: AnyMethod): Schema | undefined {
  if (definition.kind === "raw") return rawResponseSchema;
  return definition.kind === "stream" ? definition.options.item : definition.options.response;
}

function isIdempotent(definition: AnyMethod, route: Route | undefined): boolean {
  if (definition.kind === "raw") return definition.options.idempotent === true;
  const declared = definition.kind === "unary" ? definition.options.idempotent : undefined;
  if (declared !== undefined) return declared === true;
  return route !== undefined && route.verb !== "POST" && route.verb !== "PATCH";
}

const segmentPattern = /^(?:\*|:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9._~-]+)$/;
const routePattern = /^(GET|HEAD|POST|PUT|PATCH|DELETE) (\/\S*)$/;

function parseRoute(id: string, http: string, problems: string[]): Route | undefined {
  const match = routePattern.exec(http);
  if (!match) {
    problems.push(
      `${id}: http: ${JSON.stringify(http)} is no route; write a method and a path, such as "GET /products/:id".`,
    );
    return undefined;
  }
  const path = match[2] as string;
  if (path.includes("?") || path.includes("#")) {
    problems.push(`${id}: http: leave the query out of ${JSON.stringify(http)}; it comes from the request's fields.`);
    return undefined;
  }
  const segments = path.split("/").slice(1);
  // The last one is empty in "/" and in "/a/".
  const odd = segments.find(
    (segment, index) => !segmentPattern.test(segment) && !(segment === "" && index === segments.length - 1),
  );
  if (odd !== undefined) {
    problems.push(
      `${id}: http: ${JSON.stringify(odd)} is no part of a path; a part is plain text (letters, digits, ". _ ~ -"), ":name" or "*": write ":id", not "{id}".`,
    );
    return undefined;
  }
  const params = segments.flatMap((part) => (part.startsWith(":") ? [part.slice(1)] : part === "*" ? ["*"] : []));
  if (new Set(params).size !== params.length) problems.push(`${id}: http: a parameter is named twice in "${path}".`);
  return { verb: match[1] as HttpVerb, path, params };
}

function checkParameters(id: string, route: Route, request: Compiled, problems: string[]): void {
  const properties = request.jsonSchema.properties;
  for (const name of route.params) {
    if (name === "*")
      problems.push(`${id}: http: only a raw method can take a wildcard path; use raw(…) or name the parameter.`);
    else if (properties && !Object.hasOwn(properties, name)) {
      problems.push(
        `${id}: http: the path has ":${name}" but the request has no field "${name}"; add it to "request".`,
      );
    }
  }
}

function compileErrors(
  id: string,
  declared: DeclaredErrors | undefined,
  problems: string[],
): ReadonlyMap<string, string> {
  const errors = new Map<string, string>();
  const entries: readonly (readonly [string, string])[] = Array.isArray(declared)
    ? (declared as readonly string[]).map((code) => [code.toUpperCase(), code] as const)
    : Object.entries((declared ?? {}) as Readonly<Record<string, string>>);
  for (const [reason, code] of entries) {
    if (!isErrorCode(code)) {
      problems.push(
        `${id}: errors: "${code}" is no error code; use one of the sixteen gRPC codes, such as "not_found" or "failed_precondition".`,
      );
    } else if (!/^[A-Z][A-Z0-9_]*$/.test(reason)) {
      problems.push(`${id}: errors: "${reason}" is no reason; write it in capitals, such as "CARD_DECLINED".`);
    } else errors.set(reason, code);
  }
  return errors;
}
