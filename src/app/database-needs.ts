import type { ServiceDefinition } from "../service/index.ts";
import type { CheckedApp } from "./check.ts";
import { identityStoresOf } from "./identity.ts";
import type { Settings } from "./settings.ts";

/** Which databases the members of one process use. */
export interface DatabaseNeeds {
  readonly database: boolean;
  /** Those of sharded services. */
  readonly shards: boolean;
}

export interface DatabaseNeedsOptions {
  readonly checked: CheckedApp;
  readonly settings: Settings;
  readonly members: ReadonlySet<string>;
}

/** Members that live elsewhere may be asked about, too: another group of the same app. */
export function databaseNeedsOf({ checked, settings, members }: DatabaseNeedsOptions): DatabaseNeeds {
  const services = checked.app.services.filter(
    (service): service is ServiceDefinition => service.kind === "service" && members.has(service.contract.name),
  );
  const needs = services.flatMap((service) => Object.values(service.needs)).filter(({ kind }) => kind === "database");
  return {
    database: needs.length > 0 || identityStoresOf({ checked, services, members, settings }).database,
    shards: needs.some((need) => need.kind === "database" && need.shardBy !== undefined),
  };
}
