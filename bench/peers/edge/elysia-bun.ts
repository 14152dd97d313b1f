import { cors } from "@elysiajs/cors";
import { jwt } from "@elysiajs/jwt";
import { context, propagation, type Span, SpanKind, trace } from "@opentelemetry/api";
import { Elysia, t } from "elysia";
import { rateLimit } from "elysia-rate-limit";
import { importSPKI } from "jose";
import { pino } from "pino";
import { announce } from "../../child.ts";
import { type OrderBody, orderOf, status } from "../../edge/order.ts";
import { answered } from "./answered.ts";
import { duration } from "./meter.ts";
import { type Claims, hasScope, origin, publicKey, quota } from "./settings.ts";
import { spans, startTracing } from "./spans.ts";

/** Elysia on Bun with its own plugins, and what its users add: pino, prom-client, OpenTelemetry. */
startTracing();
const tracer = trace.getTracer("bench");
const log = pino();
const started = new WeakMap<Request, { readonly at: number; readonly span: Span }>();

const Order = t.Object({
  customer: t.Object({
    name: t.String({ minLength: 1, maxLength: 100 }),
    email: t.String({ minLength: 3, maxLength: 254 }),
  }),
  items: t.Array(
    t.Object({
      sku: t.String({ pattern: "^[a-z0-9-]{1,40}$" }),
      quantity: t.Integer({ minimum: 1, maximum: 99 }),
      price: t.Integer({ minimum: 0 }),
    }),
    { minItems: 1, maxItems: 50 },
  ),
  express: t.Boolean(),
  note: t.String({ maxLength: 500 }),
});

const app = new Elysia()
  .headers({
    "content-security-policy": "default-src 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=15552000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
  })
  .onRequest(({ request }) => {
    const outer = propagation.extract(context.active(), request.headers, {
      get: (headers, name) => headers.get(name) ?? undefined,
      keys: (headers) => [...headers.keys()],
    });
    const span = tracer.startSpan(request.method, { kind: SpanKind.SERVER }, outer);
    started.set(request, { at: performance.now(), span });
  })
  .onAfterResponse(({ request, set, path, route }) => {
    const begun = started.get(request);
    if (!begun) return;
    const statusCode = Number(set.status ?? 200);
    begun.span.setAttributes({ "http.request.method": request.method, "http.response.status_code": statusCode });
    begun.span.end();
    const ms = performance.now() - begun.at;
    duration.observe({ method: request.method, route, status_code: statusCode }, ms / 1000);
    log.info({ req: { method: request.method, url: path }, res: { statusCode }, responseTime: ms }, "request");
  })
  .use(cors({ origin: new URL(origin).host }))
  .use(jwt({ name: "tokens", secret: await importSPKI(publicKey, "ES256"), alg: "ES256" }))
  .resolve(async ({ tokens, headers, status }) => {
    const [scheme, token = ""] = (headers.authorization ?? "").split(" ");
    const claims = scheme === "Bearer" ? await tokens.verify(token) : false;
    if (!claims) return status(401, { error: "unauthorized" });
    if (!hasScope(claims as unknown as Claims)) return status(403, { error: "forbidden" });
    return { claims: claims as unknown as Claims };
  })
  .use(
    rateLimit({
      duration: 60_000,
      max: quota,
      generator: (_request, _server, derived: { claims?: Claims }) => derived.claims?.sub ?? "",
    }),
  )
  .get("/status", () => status)
  .post(
    "/shops/:shop/orders",
    ({ params, body }: { params: { shop: string }; body: OrderBody }) => orderOf(params.shop, body),
    {
      params: t.Object({ shop: t.String({ pattern: "^[a-z]{1,20}$" }) }),
      body: Order,
    },
  )
  .listen({ hostname: "127.0.0.1", port: 0 });

announce({ url: `http://127.0.0.1:${app.server?.port}` }, { answered, spans });
