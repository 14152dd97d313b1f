import proxy from "@fastify/http-proxy";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { announce } from "../../child.ts";
import { plentifulQuota, scarceQuota, scopeNeeded } from "../../hop/cargo.ts";

/**
 * @fastify/http-proxy, which keeps connections by undici. Guarded: @fastify/jwt (ES256, its cache of verified tokens on, a
 * scope asked for) and @fastify/rate-limit by subject.
 */
const [way = "", upstream = "", publicKey = ""] = process.argv.slice(2);
const isGuarded = way === "guarded";
const server = Fastify({ logger: false });

interface Claims {
  readonly sub: string;
  readonly scope?: string;
}

if (isGuarded) {
  // Only verified here; whoever has no private key signs nothing.
  const secret = { public: publicKey, private: "" };
  server.register(jwt, { secret, verify: { algorithms: ["ES256"], cache: true } });
}

async function authenticate(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  let claims: Claims;
  try {
    claims = await request.jwtVerify<Claims>();
  } catch {
    return reply.code(401).send({ error: "unauthorized" });
  }
  if (!claims.scope?.split(" ").includes(scopeNeeded)) return reply.code(403).send({ error: "forbidden" });
}

/** Each prefix in a scope of its own, so that each has its own limit. */
function addRoutes(prefix: string, max: number): void {
  server.register(async (scope) => {
    if (isGuarded) {
      scope.addHook("onRequest", authenticate);
      await scope.register(rateLimit, {
        max,
        timeWindow: "1 minute",
        hook: "preHandler",
        keyGenerator: (request) => (request.user as Claims).sub,
      });
    }
    await scope.register(proxy, { upstream, prefix, rewritePrefix: prefix });
  });
}

addRoutes("/api", plentifulQuota);
addRoutes("/scarce", scarceQuota);

announce({ url: await server.listen({ port: 0, host: "127.0.0.1" }) });
