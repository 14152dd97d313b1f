import { app, contract, createRuntime, method, service, t, tokens, upstream } from "plinth";
import { announce } from "../child.ts";
import { plentifulQuota, scarceQuota, scopeNeeded } from "./cargo.ts";

/**
 * Plinth's gateway before an upstream: `plain` lets everybody in and counts nothing; `guarded` wants a token (ES256,
 * remembered) with a scope, and counts what its subject takes. The rest is on in both, as it is by default: overload
 * control, request ids, the histogram of each route, the access log and traces at 1 %, deadlines, retries, health.
 */
const [way = "", target = ""] = process.argv.slice(2);
const isGuarded = way === "guarded";

const desk = contract("desk", {
  methods: { signIn: method({ response: t.Object({ token: t.String() }) }) },
});

const deskService = service(desk, {
  needs: { tokens: tokens() },
  methods: {
    async signIn(_request, { tokens }) {
      return tokens.issue({ subject: "ada", scopes: [scopeNeeded], ttl: "1h" });
    },
  },
});

const access = isGuarded ? { scope: scopeNeeded } : "public";
const limits = (quota: number) => (isGuarded ? [{ quota, window: "1m" as const }] : (false as const));

const definition = app({
  name: "bench",
  services: [deskService],
  gateway: {
    upstreams: { orders: upstream({ targets: [target] }) },
    routes: [
      { path: "/api/*", upstream: "orders", access, limits: limits(plentifulQuota) },
      { path: "/scarce/*", upstream: "orders", access, limits: limits(scarceQuota) },
    ],
  },
});

const runtime = await createRuntime(definition, { settings: { port: 0, managementPort: 0 } });
const { gateway, management } = await runtime.start();
const { token } = await runtime.client(desk).signIn();

announce({ url: gateway, management, token });
