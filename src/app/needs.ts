import { StartError } from "../base/index.ts";
import type { Environment } from "../config/index.ts";
import type {
  AnyContract,
  ExternalService,
  Need,
  ResolvedNeed,
  ServiceDefinition,
  TokenIssuer,
} from "../service/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { Stores } from "./stores.ts";

/** Makes the needs of services real: everything but contracts, which the wiring knows. */
export type ResolveNeed = (service: string, field: string, need: Exclude<Need, AnyContract>) => ResolvedNeed;

export interface NeedsOptions {
  readonly stores: Stores;
  readonly tokens: TokenIssuer | undefined;
  readonly environment: Environment;
  readonly log: Logger;
}

export function createNeeds({ stores, tokens, environment, log }: NeedsOptions): ResolveNeed {
  return (service, _field, need) => {
    switch (need.kind) {
      case "database": {
        if (need.shardBy) {
          const sharded = stores.shardedOf(service, need.shardBy);
          return { kind: "bound", bind: (scope) => sharded.bind(scope) };
        }
        const database = stores.databaseOf(service);
        return { kind: "bound", bind: (scope) => database.bind(scope) };
      }
      case "cache": {
        const cache = stores.cacheOf(service);
        return { kind: "bound", bind: (scope) => cache.bind(scope) };
      }
      case "secret": {
        const value = environment[need.name] ?? "";
        log.registerSecret(value);
        return { kind: "value", value };
      }
      case "setting":
        return { kind: "value", value: environment[need.name] ?? need.fallback };
      case "tokens":
        return { kind: "value", value: tokens };
    }
  };
}

/** Every secret that a service of this process needs and nobody gave, told at once. Throws StartError SECRET_MISSING. */
export function requireSecrets(
  services: readonly (ServiceDefinition | ExternalService)[],
  environment: Environment,
): void {
  const problems: string[] = [];
  for (const service of services) {
    const isOurs = service.kind === "service";
    for (const [field, need] of Object.entries<Need | string>(isOurs ? service.needs : service.headers)) {
      if (typeof need === "string" || need.kind !== "secret" || environment[need.name]) continue;
      const about = need.description === undefined ? "" : ` (${need.description})`;
      const where = isOurs ? `needs.${field}` : `headers.${field}`;
      problems.push(
        `${service.contract.name}: ${where}: the secret ${need.name}${about} is not set; set it in the environment or in .env.`,
      );
    }
  }
  if (problems.length > 0) throw new StartError("SECRET_MISSING", problems);
}

/** The headers of an outside service with their secrets in place, which no log line shows from then on. */
export function resolveHeaders(
  service: ExternalService,
  environment: Environment,
  log: Logger,
): Readonly<Record<string, string>> {
  requireSecrets([service], environment);
  return Object.fromEntries(
    Object.entries(service.headers).map(([name, value]) => {
      if (typeof value === "string") return [name, value];
      const resolved = environment[value.name] ?? "";
      log.registerSecret(resolved);
      return [name, resolved];
    }),
  );
}
