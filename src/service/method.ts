import type { Duration, ErrorCode, Size } from "../base/index.ts";
import type { Criticality } from "../resilience/index.ts";
import type { Infer, Schema } from "../schema/index.ts";
import type { Access } from "./access.ts";
import type { Deprecation } from "./deprecation.ts";
import type { Idempotent } from "./keyed.ts";
import type { MethodLimit } from "./limits.ts";
import type { Resource } from "./resource.ts";
import type { Versions } from "./version.ts";

/**
 * One call of a contract, declared. Three kinds: `method` answers once, `stream` answers with many items, `raw` is plain
 * HTTP for what no schema describes (webhooks, files).
 *
 * A request is one flat message. Over HTTP its path parameters are taken by name; for GET, HEAD and DELETE the rest comes
 * from the query string, otherwise from the JSON body.
 */
export type HttpVerb = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
export type HttpRoute = `${HttpVerb} /${string}`;

/** What a method may answer besides its response: codes (`["not_found"]`), or reasons of its own (`{ CARD_DECLINED: "failed_precondition" }`). */
export type DeclaredErrors = readonly ErrorCode[] | Readonly<Record<string, ErrorCode>>;

interface Declaration<Q = any, X extends Resource | undefined = any> {
  /** `"GET /products/:id"`. Without it the method can be called by services only. */
  readonly http?: HttpRoute;
  /** One line for documents. */
  readonly summary?: string;
  readonly description?: string;
  /** Who may call. Default `"authenticated"`: a valid token is needed. */
  readonly access?: Access<Q, X>;
  /** How long a call may take, the caller's own deadline permitting. Default: 10 s at the gateway, 5 s between services; 10 min for a stream. */
  readonly deadline?: Duration;
  /** Largest request body over HTTP. Default 1 MiB. */
  readonly bodyLimit?: Size;
  /** It goes away some day: every answer over HTTP says so, and who still calls is counted. */
  readonly deprecated?: Deprecation;
  /** The versions of the API that it belongs to. Default: those of its contract. */
  readonly version?: Versions;
  /** How much it matters when not all can be served: what is sheddable is refused first. Default "critical". */
  readonly criticality?: Criticality;
  /**
   * How often it may be called over HTTP, and by whom: `[{ quota: 100, window: "1m", by: "principal" }]`. Beside what the
   * app's `gateway.limits` say for all; `false` for none of those either.
   */
  readonly limits?: readonly MethodLimit[] | false;
}

export interface MethodOptions<Q extends Schema, R extends Schema, E extends DeclaredErrors> extends Declaration {
  /** The message. Default: no fields. */
  readonly request?: Q;
  /** The answer. Default: none (204 over HTTP). */
  readonly response?: R;
  readonly errors?: E;
  /**
   * Calling twice is as good as once, so a lost answer may be retried. `"keyed"`: a call that carries an idempotency key is
   * answered once, and a repeat gets the same answer; the handler has its effect in `context.once`. `{ key: "required" }`:
   * and no call is taken without one. Default: true for GET, HEAD, PUT and DELETE routes, otherwise false.
   */
  readonly idempotent?: Idempotent;
  /**
   * Callers in other processes ask a second time when the answer is not there `after` so long (1 ms to 1 min), and take
   * what comes first; within their budget of retries. For methods that are `idempotent`. Default: they do not.
   */
  readonly hedge?: { readonly after: Duration };
  /** HTTP status of success. Default 200, or 204 without a response. */
  readonly status?: 200 | 201 | 202;
  /** The answer may be kept: see `ResponseCaching`. Methods with a GET route, or with none. */
  readonly cache?: ResponseCaching<any>;
  /** What the method promises; carried in the Model for alerts and reports. */
  readonly slo?: { readonly latencyP99?: Duration; readonly availability?: number };
}

/**
 * How long an answer may be kept, and by whom. The service keeps it in its own cache, apart for each caller unless the
 * method is public; a declared `not_found` too, for 10 s at most. Over HTTP clients and proxies may keep it as well:
 * `Cache-Control`, `ETag` and conditional requests. With `tags` an answer can be invalidated at any time, which no
 * outside cache would notice, so those are told to ask each time whether theirs is still good (`no-cache`).
 */
export interface ResponseCaching<Request> {
  /** 1 ms to 30 days. */
  readonly ttl: Duration;
  /** Only whoever asked may keep it. Default: true, unless the method is public. */
  readonly private?: boolean;
  /** Names by which `cache.invalidate` of the service finds the answer. At most 16, of 256 bytes each. */
  readonly tags?: (request: Request) => readonly string[];
  /** For so long after `ttl` the old answer is given at once, while a new one is made. Default: none. */
  readonly stale?: Duration;
  /** For so long after `ttl` the old answer is given when a new one cannot be made. Default: none. */
  readonly staleIfError?: Duration;
}

/** The request as a handler gets it. */
export type RequestOf<Q> = Q extends Schema ? Infer<Q> : {};

export interface StreamOptions<Q extends Schema, I extends Schema, E extends DeclaredErrors> extends Declaration {
  readonly request?: Q;
  /** One item of the stream. */
  readonly item: I;
  readonly errors?: E;
}

export interface RawOptions<X extends Resource | undefined = any> extends Declaration<RawRequest, X> {
  readonly http: HttpRoute;
  /** Calling twice is as good as once, so a lost answer may be retried. Default false, whatever the route. */
  readonly idempotent?: boolean;
}

export interface UnaryMethod<
  Q extends Schema | undefined = Schema | undefined,
  R extends Schema | undefined = Schema | undefined,
  E extends DeclaredErrors = DeclaredErrors,
  K extends Idempotent | undefined = any,
  X extends Resource | undefined = any,
> {
  readonly kind: "unary";
  readonly options: Omit<MethodOptions<Schema, Schema, E>, "request" | "response"> & {
    readonly request?: Schema;
    readonly response?: Schema;
  };
  /** For the types only: never present at run time. */
  readonly types?: {
    readonly request: Q;
    readonly response: R;
    readonly errors: E;
    readonly idempotent: K;
    readonly resource: X;
  };
}

export interface StreamMethod<
  Q extends Schema | undefined = Schema | undefined,
  I extends Schema = Schema,
  E extends DeclaredErrors = DeclaredErrors,
  X extends Resource | undefined = any,
> {
  readonly kind: "stream";
  readonly options: Omit<StreamOptions<Schema, Schema, E>, "request" | "item"> & {
    readonly request?: Schema;
    readonly item: Schema;
  };
  readonly types?: { readonly request: Q; readonly item: I; readonly errors: E; readonly resource: X };
}

export interface RawMethod<X extends Resource | undefined = any> {
  readonly kind: "raw";
  readonly options: RawOptions;
  readonly types?: { readonly resource: X };
}

export type AnyMethod = UnaryMethod | StreamMethod | RawMethod;

/** What a raw handler gets: the HTTP request, with its body read up to the limit. Header names are lower case. */
export interface RawRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface RawResponse {
  /** Default 200. */
  readonly status?: number;
  /** Several values are sent as one header each: `"set-cookie": ["a=1", "b=2"]`. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** A string is sent as UTF-8. */
  readonly body?: string | Uint8Array;
}

/** A call that answers once. (`NoInfer`: where a type is not given, what the surroundings expect must not stand in for it.) */
export function method<
  Q extends Schema | undefined = undefined,
  R extends Schema | undefined = undefined,
  const E extends DeclaredErrors = readonly [],
  const K extends Idempotent | undefined = undefined,
  X extends Resource | undefined = undefined,
>(
  options: Omit<MethodOptions<Schema, Schema, E>, "request" | "response" | "cache" | "idempotent" | "access"> & {
    readonly request?: Q;
    readonly response?: R;
    readonly cache?: ResponseCaching<RequestOf<NoInfer<Q>>>;
    readonly idempotent?: K;
    readonly access?: Access<RequestOf<NoInfer<Q>>, X>;
  },
): UnaryMethod<NoInfer<Q>, NoInfer<R>, NoInfer<E>, NoInfer<K>, NoInfer<X>> {
  return { kind: "unary", options: options as UnaryMethod["options"] } as UnaryMethod<
    NoInfer<Q>,
    NoInfer<R>,
    NoInfer<E>,
    NoInfer<K>,
    NoInfer<X>
  >;
}

/** A call that answers with many items, one after the other; NDJSON or server-sent events over HTTP. */
export function stream<
  I extends Schema,
  Q extends Schema | undefined = undefined,
  const E extends DeclaredErrors = readonly [],
  X extends Resource | undefined = undefined,
>(
  options: Omit<StreamOptions<Schema, I, E>, "request" | "access"> & {
    readonly request?: Q;
    readonly access?: Access<RequestOf<NoInfer<Q>>, X>;
  },
): StreamMethod<NoInfer<Q>, NoInfer<I>, NoInfer<E>, NoInfer<X>> {
  return { kind: "stream", options: options as unknown as StreamMethod["options"] } as StreamMethod<
    NoInfer<Q>,
    NoInfer<I>,
    NoInfer<E>,
    NoInfer<X>
  >;
}

/** A plain HTTP endpoint, for what no schema describes. It keeps access, deadline, limits and trace. */
export function raw<X extends Resource | undefined = undefined>(options: RawOptions<X>): RawMethod<NoInfer<X>> {
  return { kind: "raw", options };
}
