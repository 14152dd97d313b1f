import { createPublicKey } from "node:crypto";
import { createRequire } from "node:module";
import cors from "cors";
import type { NextFunction, Request, Response } from "express";
import promBundle from "express-prom-bundle";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import jwt from "jsonwebtoken";
import { pinoHttp } from "pino-http";
import { announce } from "../../child.ts";
import { orderOf, status } from "../../edge/order.ts";
import { answered } from "./answered.ts";
import { listening } from "./listening.ts";
import { OrderBody, Shop } from "./order-zod.ts";
import { type Claims, hasScope, origin, publicKey, quota } from "./settings.ts";
import { spans } from "./spans.ts";

/** Express with the middleware that its users take for production. */
// OpenTelemetry instruments what is required; of modules that are imported it sees node:http alone.
const express = createRequire(import.meta.url)("express") as typeof import("express");
const key = createPublicKey(publicKey);
const app = express();

app.use(pinoHttp());
app.use(
  promBundle({
    includeMethod: true,
    includePath: true,
    normalizePath: [["^/shops/.*/orders$", "/shops/#shop/orders"]],
  }),
);
app.use(helmet());
app.use(cors({ origin: [origin] }));
app.use((req: Request, res: Response, next: NextFunction) => {
  const [scheme, token = ""] = (req.get("authorization") ?? "").split(" ");
  try {
    const claims = jwt.verify(scheme === "Bearer" ? token : "", key, { algorithms: ["ES256"] }) as unknown as Claims;
    if (!hasScope(claims)) return void res.status(403).json({ error: "forbidden" });
    res.locals.claims = claims;
    next();
  } catch {
    res.status(401).json({ error: "unauthorized" });
  }
});
app.use(
  rateLimit({
    windowMs: 60_000,
    limit: quota,
    standardHeaders: "draft-8",
    legacyHeaders: false,
    keyGenerator: (_req, res) => (res.locals.claims as Claims).sub,
  }),
);

app.get("/status", (_req, res) => {
  res.json(status);
});

app.post("/shops/:shop/orders", express.json(), (req, res) => {
  const { shop } = Shop.parse(req.params);
  res.json(orderOf(shop, OrderBody.parse(req.body)));
});

app.use((_error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  res.status(400).json({ error: "invalid" });
});

announce(await listening(app.listen(0, "127.0.0.1")), { answered, spans });
