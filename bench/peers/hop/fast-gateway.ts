import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { rateLimit } from "express-rate-limit";
import gateway from "fast-gateway";
import jsonwebtoken from "jsonwebtoken";
import { announce } from "../../child.ts";
import { plentifulQuota, scarceQuota, scopeNeeded } from "../../hop/cargo.ts";
import { listening } from "../edge/listening.ts";

/**
 * fast-gateway, which keeps connections by an http.Agent. It has no identity and no limits of its own; guarded, it has the
 * middlewares that its users take: jsonwebtoken (ES256, a scope asked for) and express-rate-limit by subject.
 */
const [way = "", target = "", publicKey = ""] = process.argv.slice(2);
const isGuarded = way === "guarded";

type Request = IncomingMessage & { user?: { readonly sub: string; readonly scope?: string } };

function refuse(res: ServerResponse, status: number, error: string): void {
  res.statusCode = status;
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ error }));
}

function authenticate(req: Request, res: ServerResponse, next: () => void): void {
  const [scheme, token] = (req.headers.authorization ?? "").split(" ");
  try {
    if (scheme !== "Bearer" || !token) throw new Error("there is no token");
    req.user = jsonwebtoken.verify(token, publicKey, { algorithms: ["ES256"] }) as unknown as NonNullable<
      Request["user"]
    >;
  } catch {
    refuse(res, 401, "unauthorized");
    return;
  }
  if (req.user.scope?.split(" ").includes(scopeNeeded)) next();
  else refuse(res, 403, "forbidden");
}

function limiterOf(limit: number) {
  return rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: "draft-6",
    legacyHeaders: false,
    keyGenerator: (req) => (req as unknown as Request).user?.sub ?? "",
    handler: (_req, res) => refuse(res, 429, "too many requests"),
  });
}

function routeOf(prefix: string, limit: number) {
  return {
    prefix,
    prefixRewrite: prefix,
    target,
    // Written for Express; restana takes the same functions.
    middlewares: (isGuarded ? [authenticate, limiterOf(limit)] : []) as [],
  };
}

const server = createServer();
const router = gateway({
  restana: { server },
  routes: [routeOf("/api", plentifulQuota), routeOf("/scarce", scarceQuota)],
});
await router.start(0, "127.0.0.1");
announce(await listening(server));
