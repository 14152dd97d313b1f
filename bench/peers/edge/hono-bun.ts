import { zValidator } from "@hono/zod-validator";
import { context, propagation, SpanKind, trace } from "@opentelemetry/api";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { type JwtVariables, jwt } from "hono/jwt";
import { routePath } from "hono/route";
import { secureHeaders } from "hono/secure-headers";
import { rateLimiter } from "hono-rate-limiter";
import { importSPKI } from "jose";
import { pino } from "pino";
import { announce } from "../../child.ts";
import { orderOf, status } from "../../edge/order.ts";
import { answered } from "./answered.ts";
import { serve } from "./bun.ts";
import { duration } from "./meter.ts";
import { OrderBody, Shop } from "./order-zod.ts";
import { type Claims, hasScope, origin, publicKey, quota } from "./settings.ts";
import { spans, startTracing } from "./spans.ts";

/** Hono on Bun with its own middleware, and what its users add: a limit, pino, prom-client, OpenTelemetry. */
startTracing();
const tracer = trace.getTracer("bench");
const log = pino();
const app = new Hono<{ Variables: JwtVariables<Claims> }>();

app.use(async (c, next) => {
  const startedAt = performance.now();
  const outer = propagation.extract(context.active(), c.req.header());
  await tracer.startActiveSpan(`${c.req.method} ${c.req.path}`, { kind: SpanKind.SERVER }, outer, async (span) => {
    await next();
    span.setAttributes({ "http.request.method": c.req.method, "http.response.status_code": c.res.status });
    span.end();
  });
  const ms = performance.now() - startedAt;
  const { method, path } = c.req;
  duration.observe({ method, route: routePath(c, -1), status_code: c.res.status }, ms / 1000);
  log.info({ req: { method, url: path }, res: { statusCode: c.res.status }, responseTime: ms }, "request");
});
app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'none'"] } }));
app.use(cors({ origin: [origin] }));
app.use(jwt({ secret: await importSPKI(publicKey, "ES256"), alg: "ES256", verification: { typ: "at+jwt" } }));
app.use(
  createMiddleware(async (c, next) => {
    if (!hasScope(c.get("jwtPayload") as Claims)) return c.json({ error: "forbidden" }, 403);
    await next();
  }),
);
app.use(
  rateLimiter<{ Variables: JwtVariables<Claims> }>({
    windowMs: 60_000,
    limit: quota,
    keyGenerator: (c) => c.get("jwtPayload").sub,
  }),
);

app.get("/status", (c) => c.json(status));

app.post("/shops/:shop/orders", zValidator("param", Shop), zValidator("json", OrderBody), (c) =>
  c.json(orderOf(c.req.valid("param").shop, c.req.valid("json"))),
);

announce({ url: serve(app.fetch) }, { answered, spans });
