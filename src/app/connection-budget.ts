import type { PoolBudget } from "../database/index.ts";
import { checkConnectionBudget } from "../database/index.ts";
import type { Component } from "../lifecycle/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { groupsOf } from "./app.ts";
import type { CheckedApp } from "./check.ts";
import type { DatabaseNeeds } from "./database-needs.ts";
import { databaseNeedsOf } from "./database-needs.ts";
import type { DatabaseServer, Databases } from "./databases.ts";
import type { Settings } from "./settings.ts";

export interface BudgetParts {
  readonly checked: CheckedApp;
  readonly group: string | undefined;
  readonly settings: Settings;
  readonly databases: Databases;
  readonly log: Logger;
}

/**
 * Refuses to start when all processes of the app together may open more connections than a server takes: that of the
 * database, of a replica, of a further shard. Where several of these are databases of one server, their pools add up.
 */
export function budgetComponent(parts: BudgetParts): Component {
  const { databases, log } = parts;
  return {
    name: "connection budget",
    needs: ["database"],
    async start() {
      const found = await Promise.all(
        databases.servers().map(async (server) => ({ ...server, identity: await identityOf(server, log) })),
      );
      const known = found.filter(({ identity }) => identity !== undefined);
      for (const identity of new Set(known.map((server) => server.identity))) {
        const [first, ...more] = known.filter((server) => server.identity === identity);
        if (!first) continue;
        await checkConnectionBudget({
          database: first.database,
          pools: [first, ...more].flatMap((server) => poolsOf(server, parts)),
          onWarning: (text) => log.warn({}, text),
        });
      }
    },
  };
}

/** The pools of all processes that use one of the app's databases. */
function poolsOf({ name, kind, database }: DatabaseServer, parts: BudgetParts): readonly PoolBudget[] {
  const { checked, group, settings } = parts;
  const { app: definition } = checked;
  const uses = (needs: DatabaseNeeds): boolean => (kind === "shard" ? needs.shards : needs.database);
  const names =
    group === undefined
      ? [definition.name]
      : [...groupsOf(definition)].flatMap(([each, members]) =>
          uses(databaseNeedsOf({ checked, settings, members: new Set(members) })) ? [each] : [],
        );
  return names.map((each) => ({
    name: kind === "main" ? each : `${each} (${name})`,
    poolSize: database.stats.size,
    processes: settings.processes?.get(each) ?? 1,
  }));
}

/** The same for two databases of one server. Undefined, with a warning, for a replica that does not answer: it may be away. */
async function identityOf({ name, kind, database }: DatabaseServer, log: Logger): Promise<string | undefined> {
  if (!database.flags.multipleProcesses) return name;
  try {
    const [row] = await database.sql<{ identity: string }>`
      select concat(inet_server_addr(), ' ', inet_server_port(), ' ', pg_postmaster_start_time()) as identity`;
    return row?.identity;
  } catch (thrown) {
    if (kind !== "replica") throw thrown;
    log.warn({ err: thrown }, `the connections to ${name} could not be counted`);
    return undefined;
  }
}
