import type { IncomingMessage, ServerResponse } from "node:http";
import type { Provider } from "oidc-provider";
import { matchesSecret } from "./clients.ts";
import type { ConfigurationParts } from "./configuration.ts";
import { configure } from "./configuration.ts";
import type { InteractionParts } from "./interaction.ts";
import { interactionPattern, serveInteraction } from "./interaction.ts";
import { securityHeaders, sendPage } from "./page.ts";
import type { ProviderLog } from "./provider-log.ts";
import { busyPage } from "./status-pages.ts";

/** oidc-provider with one set of keys, and our pages beside it. It keeps nothing itself, so a change of keys makes another. */
export interface Engine {
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

export type EngineParts = Omit<ConfigurationParts, "errors"> &
  Omit<InteractionParts, "errors"> & { readonly log: ProviderLog };

export async function createEngine(parts: EngineParts): Promise<Engine> {
  // Loaded here: an app without a provider never does.
  const { Provider, errors } = await import("oidc-provider");
  const full = { ...parts, errors };
  const provider: Provider = new Provider(parts.issuer, configure(full));
  const { protocol, host, pathname } = new URL(parts.issuer);
  // Addresses are made of the issuer's, and of no header that anybody can send.
  provider.proxy = true;
  const fail = (thrown: unknown) => parts.log.error({ err: thrown }, "the identity provider failed");
  (provider as NodeJS.EventEmitter).on("error", fail);
  provider.on("server_error", (_ctx, thrown) => fail(thrown));
  provider.Client.prototype.compareClientSecret = function compare(this: { clientSecret?: string }, actual: string) {
    return matchesSecret(this.clientSecret, actual);
  };
  const callback = provider.callback();
  return {
    async handle(req, res) {
      req.headers["x-forwarded-proto"] = protocol.slice(0, -1);
      req.headers["x-forwarded-host"] = host;
      Object.assign(req, { originalUrl: `${pathname}${req.url}` });
      const path = (req.url ?? "/").split("?", 1)[0] as string;
      for (const [name, value] of Object.entries(securityHeaders)) res.setHeader(name, value);
      if (isPublic(path)) res.setHeader("cache-control", `public, max-age=${publicSeconds}`);
      if (begins.has(path)) {
        const waitMs = await parts.limits.begin(parts.addressOf(req));
        if (waitMs > 0) return sendPage(res, busyPage(parts.title, Math.ceil(waitMs / 1000)));
      }
      const uid = interactionPattern.exec(path)?.[1];
      if (uid === undefined) await callback(req, res);
      else await serveInteraction(full, provider, uid, req, res);
    },
  };
}

/** Each leaves a row behind, whoever asks. */
const begins: ReadonlySet<string> = new Set(["/authorize", "/par", "/sign-out"]);

/** How long others may keep the key set and the metadata: less than a key is published before it signs. */
const publicSeconds = 300;

function isPublic(path: string): boolean {
  return path === "/jwks" || path.startsWith("/.well-known/");
}
