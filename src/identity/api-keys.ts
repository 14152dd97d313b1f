import type { Clock, PlinthError, Principal } from "../base/index.ts";
import { error } from "../base/index.ts";
import { createTimeLimit } from "../resilience/index.ts";
import { apiKeyPrefixDefault, apiKeyPrefixPattern, hashOfApiKey, isSameHash, parseApiKey } from "./api-key.ts";
import type { ApiKeyRecord, ApiKeyStore } from "./api-key-store.ts";
import { TwoGenerations } from "./two-generations.ts";

/**
 * Callers with an API key instead of a token: machines of customers. Keys are made and taken back by `plinth keys`.
 *
 *     apiKeys({ header: "X-API-Key" })
 */
export interface ApiKeysOptions {
  /** The header that holds a key; `Authorization: ApiKey …` is always taken. Default "X-API-Key". */
  readonly header?: string;
  /** What keys begin with: 2 to 16 small letters and digits. Default "plk". */
  readonly prefix?: string;
}

export interface ApiKeysDefinition extends ApiKeysOptions {
  readonly kind: "api-keys";
}

export function apiKeys(options: ApiKeysOptions = {}): ApiKeysDefinition {
  return { kind: "api-keys", ...options };
}

export const apiKeyHeaderDefault = "X-API-Key";

/** Notes what is wrong in `problems`. */
export function checkApiKeys({ header, prefix }: ApiKeysOptions, problems: string[]): void {
  if (header !== undefined && (!/^[A-Za-z0-9-]{1,64}$/.test(header) || takenHeaders.has(header.toLowerCase())))
    problems.push(
      `gateway: identity: apiKeys: header ${JSON.stringify(header)}: name one of its own, such as "X-API-Key".`,
    );
  if (prefix !== undefined && !apiKeyPrefixPattern.test(prefix))
    problems.push(
      `gateway: identity: apiKeys: prefix ${JSON.stringify(prefix)}: use 2 to 16 small letters and digits, such as "plk".`,
    );
}

const takenHeaders: ReadonlySet<string> = new Set(["authorization", "cookie", "dpop", "host"]);

/** Turns keys into principals. */
export interface ApiKeyCheck {
  /** The principal of a key that was checked a moment ago. */
  recall(text: string): Principal | undefined;
  /** Rejects with API_KEY_INVALID, or what the database fails with. */
  authenticate(text: string): Promise<Principal>;
}

/** How long a key is believed that was looked up, and so how late a revocation is heard of at most. */
const rememberMs = 5000;
const rememberedCount = 10_000;
/** Lookups that run at the same time; a key that would be one more is answered with 503. */
const lookupsMax = 64;
const lookupMsMax = 5000;

export interface ApiKeyCheckOptions {
  readonly store: Pick<ApiKeyStore, "find">;
  readonly clock: Clock;
  readonly prefix?: string | undefined;
  /** A key's plan stands in this claim too: where tokens have theirs. */
  readonly planClaim?: string | undefined;
}

export function createApiKeyCheck(options: ApiKeyCheckOptions): ApiKeyCheck {
  const { store, clock, prefix = apiKeyPrefixDefault, planClaim = "plan" } = options;
  const known = new TwoGenerations<{ readonly principal: Principal | undefined; readonly until: number }>(
    rememberedCount,
    rememberMs,
    clock,
  );
  const underWay = new Map<string, Promise<Principal | undefined>>();
  const limit = createTimeLimit({ name: "the database of API keys", limit: lookupMsMax, clock });

  const look = async (id: string, text: string): Promise<Principal | undefined> => {
    const record = await limit(store.find(id));
    const now = clock.wallNow();
    const isGood = record !== undefined && isSameHash(record.hash, hashOfApiKey(text)) && isAlive(record, now);
    const until = Math.min(now + rememberMs, (isGood ? record.expiresAt : undefined) ?? Number.POSITIVE_INFINITY);
    const principal = isGood ? principalOf(record, planClaim) : undefined;
    known.set(text, { principal, until });
    return principal;
  };
  const find = (text: string): Promise<Principal | undefined> => {
    const parsed = parseApiKey(text, prefix);
    if (!parsed) return Promise.resolve(undefined);
    const running = underWay.get(text);
    if (running) return running;
    if (underWay.size >= lookupsMax) return Promise.reject(apiKeysBusy());
    const begun = look(parsed.id, text).finally(() => underWay.delete(text));
    underWay.set(text, begun);
    return begun;
  };
  return {
    recall(text) {
      const found = known.get(text);
      return found && clock.wallNow() < found.until ? found.principal : undefined;
    },
    async authenticate(text) {
      const found = known.get(text);
      const principal = found && clock.wallNow() < found.until ? found.principal : await find(text);
      if (!principal) throw apiKeyInvalid();
      return principal;
    },
  };
}

/** API_KEY_INVALID: no key of this app, or one that has ended or was taken back. */
const apiKeyInvalid = (): PlinthError =>
  error("unauthenticated", "The API key is not valid.", { reason: "API_KEY_INVALID", executed: "no" });

/** API_KEYS_BUSY: too many keys are being looked up at once. Nothing was executed. */
const apiKeysBusy = (): PlinthError =>
  error("unavailable", "Too many API keys are looked up at once. Try again shortly.", {
    reason: "API_KEYS_BUSY",
    retry: 1000,
    executed: "no",
  });

function isAlive({ revokedAt, expiresAt }: ApiKeyRecord, now: number): boolean {
  return revokedAt === undefined && (expiresAt === undefined || now < expiresAt);
}

function principalOf({ id, subject, scopes, roles, plan, tenant }: ApiKeyRecord, planClaim: string): Principal {
  const claims = {
    ...(plan !== undefined && { [planClaim]: plan }),
    client_id: `key:${id}`,
    ...(roles.length > 0 && { roles }),
    ...(plan !== undefined && { plan }),
    ...(tenant !== undefined && { tenant }),
  };
  return Object.freeze({ kind: "user", subject, scopes: Object.freeze([...scopes]), claims: Object.freeze(claims) });
}
