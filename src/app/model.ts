import type { JsonSchema } from "../base/index.ts";
import { toMs } from "../base/index.ts";
import type { ServedAt } from "../gateway/index.ts";
import type { Criticality } from "../resilience/index.ts";
import { criticalities } from "../resilience/index.ts";
import { compile } from "../schema/index.ts";
import type { Access, ExternalService, Operation, ServiceDefinition } from "../service/index.ts";
import { objectRuleOf, rolesOf, scopesOf } from "../service/index.ts";
import type { App } from "./app.ts";
import { groupsOf } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import { checkApp } from "./check.ts";
import { servedAt } from "./gateway-routing.ts";
import { variantsOf } from "./gateway-split.ts";
import type { ModelLimit, ModelSharedLimits } from "./limits.ts";
import { toModelLimits, toModelSharedLimits } from "./limits.ts";
import type { ModelIdentity } from "./model-identity.ts";
import { toModelIdentity } from "./model-identity.ts";

/**
 * The Model: an app as plain JSON data. Generators, verification, the gateway's documents and agents see this and never
 * the app's code. The same app gives the same Model, byte for byte.
 */
export interface Model {
  readonly plinth: 1;
  readonly name: string;
  readonly version: string;
  readonly services: readonly ModelService[];
  readonly groups: readonly {
    readonly name: string;
    readonly services: readonly string[];
    readonly gateway: boolean;
  }[];
  /** What the gateway limits over all routes. */
  readonly limits: ModelSharedLimits;
  /** Whom the gateway believes. */
  readonly identity: ModelIdentity;
}

export interface ModelService {
  readonly name: string;
  /** The address of an external service; null for one of ours. */
  readonly external: string | null;
  readonly methods: readonly ModelMethod[];
  readonly events: readonly {
    readonly name: string;
    readonly key: string;
    readonly payload: JsonSchema;
    readonly description: string | null;
  }[];
  readonly needs: readonly ModelNeed[];
  readonly subscriptions: readonly { readonly name: string; readonly event: string }[];
  readonly schedules: readonly ModelSchedule[];
}

export interface ModelSchedule {
  readonly name: string;
  /** One of the two is not null. */
  readonly everyMs: number | null;
  readonly cron: string | null;
  /** Of `cron`; null for `everyMs`. */
  readonly timeZone: string | null;
}

export interface ModelNeed {
  readonly name: string;
  readonly kind: "database" | "cache" | "secret" | "setting" | "tokens" | "contract";
  /** The contract's, secret's or setting's own name. */
  readonly target: string | null;
  /** Of a database that is spread over servers: table to the column with the key. */
  readonly shardBy: Readonly<Record<string, string>> | null;
}

export interface ModelMethod {
  readonly name: string;
  readonly kind: Operation["kind"];
  /** Where the gateway serves it; null where it does not. */
  readonly http: { readonly verb: string; readonly path: string; readonly params: readonly string[] } | null;
  /** Every path where the gateway serves it, with prefix and version; the first is that of `http`. */
  readonly paths: readonly string[];
  /** The versions of the API that it belongs to; empty: all. */
  readonly versions: readonly number[];
  /** When it goes away, as dates of ISO 8601; null when it does not. */
  readonly deprecated: {
    readonly since: string;
    readonly sunset: string | null;
    readonly link: string | null;
    readonly successor: string | null;
  } | null;
  readonly access: "public" | "authenticated" | "scoped";
  readonly scopes: readonly string[];
  /** One of them is needed; empty when none. */
  readonly roles: readonly string[];
  /** A rule looks at the request, and at the resource of this name where there is one; null without such a rule. */
  readonly object: { readonly resource: string | null } | null;
  readonly summary: string | null;
  readonly description: string | null;
  /** Null for raw methods, whose messages no schema describes. */
  readonly request: JsonSchema | null;
  /** The answer, or one item of a stream. */
  readonly response: JsonSchema | null;
  readonly status: number;
  readonly errors: readonly { readonly reason: string; readonly code: string }[];
  readonly idempotent: boolean;
  /** Idempotent where the call carries an idempotency key. */
  readonly keyed: boolean;
  /** What is said about those keys; null where they mean nothing. */
  readonly idempotencyKey: { readonly required: boolean; readonly keepMs: number } | null;
  readonly deadlineMs: number | null;
  readonly bodyLimitBytes: number;
  /** Its own; of the app's, what one call takes. Null: none, and none of the app's either. */
  readonly limits: {
    readonly own: readonly ModelLimit[];
    readonly shared: Readonly<Record<string, number | true>>;
  } | null;
  /** `tagged`: it can be invalidated before its time. */
  readonly cache: { readonly ttlMs: number; readonly private: boolean; readonly tagged: boolean } | null;
  /** After so long callers in other processes ask a second time; null where they never do. */
  readonly hedgeMs: number | null;
  /** How much it matters when not all can be served. */
  readonly criticality: Criticality;
  readonly slo: { readonly latencyP99?: string | number; readonly availability?: number } | null;
}

/** Throws a StartError that lists every problem when the app is wrong. */
export function buildModel(definition: App): Model {
  return modelOf(checkApp(definition));
}

/** The Model of an app that has been checked. */
export function modelOf({ app: definition, operations, served, limits }: CheckedApp): Model {
  const variants = variantsOf(definition.gateway, served);
  const isServed = new Set(served.filter((operation) => !variants.has(operation)));
  return {
    plinth: 1,
    name: definition.name,
    version: definition.version,
    services: definition.services.map((service) => ({
      name: service.contract.name,
      external: service.kind === "external" ? service.url : null,
      methods: [...(operations.get(service.contract.name)?.values() ?? [])].map((operation) =>
        toModelMethod(operation, isServed.has(operation) ? servedAt(definition.gateway, operation) : []),
      ),
      events: Object.values(service.contract.events).map((event) => ({
        name: event.name,
        key: event.options.key,
        payload: compile(event.options.payload).jsonSchema,
        description: event.options.description ?? null,
      })),
      needs: service.kind === "service" ? needsOf(service) : headerNeedsOf(service),
      subscriptions:
        service.kind === "service"
          ? Object.entries(service.subscriptions).map(([name, { event }]) => ({ name, event: event.id }))
          : [],
      schedules: service.kind === "service" ? schedulesOf(service) : [],
    })),
    groups: [...groupsOf(definition)].map(([name, members]) => ({
      name,
      services: members.filter((member) => member !== "gateway"),
      gateway: members.includes("gateway"),
    })),
    limits: toModelSharedLimits(limits),
    identity: toModelIdentity(definition),
  };
}

function needsOf(service: ServiceDefinition): ModelNeed[] {
  return Object.entries(service.needs).map(([name, need]) => ({
    name,
    kind: need.kind,
    target: "name" in need ? need.name : null,
    shardBy: need.kind === "database" ? (need.shardBy ?? null) : null,
  }));
}

function schedulesOf({ schedules }: ServiceDefinition): ModelSchedule[] {
  return Object.entries(schedules).map(([name, { every, cron, timeZone }]) => ({
    name,
    everyMs: every === undefined ? null : toMs(every),
    cron: cron ?? null,
    timeZone: cron === undefined ? null : (timeZone ?? "UTC"),
  }));
}

/** The keys that an outside service is called with. */
function headerNeedsOf({ headers }: ExternalService): ModelNeed[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    typeof value === "string" ? [] : [{ name, kind: value.kind, target: value.name, shardBy: null }],
  );
}

function toModelDeprecation(plan: Operation["deprecated"]): ModelMethod["deprecated"] {
  if (!plan) return null;
  const { sinceMs, sunsetMs, link = null, successor = null } = plan;
  const sunset = sunsetMs === undefined ? null : new Date(sunsetMs).toISOString();
  return { since: new Date(sinceMs).toISOString(), sunset, link, successor };
}

function toModelMethod(operation: Operation, at: readonly ServedAt[]): ModelMethod {
  const { definition, access, route, kind } = operation;
  const { options } = definition;
  const slo = definition.kind === "unary" ? definition.options.slo : undefined;
  return {
    name: operation.name,
    kind,
    http: route && at[0] ? { ...route, path: at[0].path } : null,
    paths: at.map(({ path }) => path),
    versions: operation.versions,
    deprecated: toModelDeprecation(operation.deprecated),
    access: accessKindOf(access),
    scopes: scopesOf(access),
    roles: rolesOf(access),
    object: objectOf(access),
    summary: options.summary ?? null,
    description: options.description ?? null,
    request: kind === "raw" ? null : operation.request.jsonSchema,
    response: kind === "raw" ? null : (operation.response?.outputJsonSchema ?? null),
    status: operation.status,
    errors: [...operation.errors].map(([reason, code]) => ({ reason, code })),
    idempotent: operation.idempotent,
    keyed: operation.keyed,
    idempotencyKey: operation.keys ? { required: operation.keys.isRequired, keepMs: operation.keys.keepMs } : null,
    deadlineMs: operation.deadlineMs ?? null,
    bodyLimitBytes: operation.bodyLimitBytes,
    limits: toModelLimits(operation.limits),
    cache: operation.cache
      ? { ttlMs: operation.cache.ttlMs, private: operation.cache.private, tagged: operation.cache.tagsOf !== undefined }
      : null,
    hedgeMs: operation.hedgeMs ?? null,
    criticality: criticalities[operation.level] ?? "critical",
    slo: slo ?? null,
  };
}

function accessKindOf(access: Access): ModelMethod["access"] {
  if (typeof access === "string") return access;
  return scopesOf(access).length + rolesOf(access).length > 0 ? "scoped" : "authenticated";
}

function objectOf(access: Access): ModelMethod["object"] {
  const rule = objectRuleOf(access);
  return rule ? { resource: rule.resource?.name ?? null } : null;
}

/** Who may call a method, in a few words: "public", "authenticated", "orders:read", "role admin, order by rule". */
export function accessWords({
  access,
  scopes,
  roles,
  object,
}: Pick<ModelMethod, "access" | "scopes" | "roles" | "object">): string {
  if (access === "public") return access;
  const words = [
    ...scopes,
    ...(roles.length > 0 ? [`role ${roles.join(" or ")}`] : []),
    ...(object ? [object.resource === null ? "by rule" : `${object.resource} by rule`] : []),
  ];
  return words.length > 0 ? words.join(", ") : access;
}

/** The same of what is no method: routes to outside systems, mounts. */
export function accessWordsOf(access: Access): string {
  const kinds = { access: accessKindOf(access), object: objectOf(access) };
  return accessWords({ ...kinds, scopes: scopesOf(access), roles: rolesOf(access) });
}
